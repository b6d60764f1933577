// What the page asks of its server, or with ?local=1 of this browser (local.js). Every failure is an
// Error whose message is a sentence to show.

async function answer(address, options) {
  const response = await fetch(address, options)
  const body = await response.json().catch(() => ({}))
  if (response.ok) return body
  throw Object.assign(new Error(body.detail ?? `${response.status} ${response.statusText}`), {
    status: response.status,
    retryAfter: response.headers.get('Retry-After')
  })
}

function form(files, fields) {
  const made = new FormData()
  for (const [name, value] of Object.entries(fields)) made.append(name, value)
  for (const file of files) made.append('file', file, file.name)
  return made
}

const server = {
  choices: async () => ({
    models: (await answer('/models')).models,
    scales: ['1.5', '2', '3', '4', '8'],
    formats: ['png', 'jpeg', 'webp', 'tiff', 'same']
  }),
  job: (id) => answer(`/jobs/${id}`),
  cancel: (id) => answer(`/jobs/${id}`, { method: 'DELETE' }),
  events: (id) => new EventSource(`/jobs/${id}/events`),
  archive: (id) => `/jobs/${id}/result`,

  /** What it would take to upscale one file; `signal` gives up asking. */
  plan: (file, fields, signal) => answer('/plan', { method: 'POST', body: form([file], fields), signal }),

  /** A job of these files. The same `key` never makes two. */
  start: (files, fields, key) =>
    answer('/jobs', { method: 'POST', body: form(files, fields), headers: { 'Idempotency-Key': key } })
}

const here = new URLSearchParams(location.search).get('local') === '1'
export const { choices, job, cancel, events, archive, plan, start } = here ? await import('./local.js') : server
