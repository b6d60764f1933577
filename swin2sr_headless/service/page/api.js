// What the page asks of its server. Every failure is an Error whose message is a sentence to show.

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

export const models = () => answer('/models').then((body) => body.models)
export const job = (id) => answer(`/jobs/${id}`)
export const cancel = (id) => answer(`/jobs/${id}`, { method: 'DELETE' })

/** What it would take to upscale one file; `signal` gives up asking. */
export const plan = (file, fields, signal) => answer('/plan', { method: 'POST', body: form([file], fields), signal })

/** A job of these files. The same `key` never makes two. */
export const start = (files, fields, key) =>
  answer('/jobs', { method: 'POST', body: form(files, fields), headers: { 'Idempotency-Key': key } })
