// What the page asks of its server, or with ?local=1 of this browser (local.js). Every failure is an Error whose
// message is a sentence to show, by told() in the page's language.

import { askKey } from './key.js'
import { serverEvents } from './server_events.js'
import { learn } from './texts.js'

const KEY = 'swin2sr-key'
const KEY_PROBLEM = 'urn:swin2sr:key'

/** fetch with the key that a person gave; where one is missing or wrong, a person is asked, once for all requests. */
async function ask(address, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY)
    const headers = { ...options.headers, ...(key === null ? {} : { 'X-API-Key': key }) }
    const response = await fetch(address, { ...options, headers })
    if (response.status !== 401 && response.status !== 403) return response
    const { type } = await response.clone().json().catch(() => ({}))
    if (type !== KEY_PROBLEM) return response
    if (sessionStorage.getItem(KEY) !== key) continue // another request has asked meanwhile
    sessionStorage.setItem(KEY, await askKey(key !== null))
  }
}

async function answer(address, options) {
  const response = await ask(address, options)
  const body = await response.json().catch(() => ({}))
  for (const each of [body, ...(body.pictures ?? [])]) learn((each.report ?? each.problem ?? each).words)
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

  /** What it would take to upscale one file; `signal` gives up asking. */
  plan: (file, fields, signal) => answer('/plan', { method: 'POST', body: form([file], fields), signal }),

  /** A job of these files. The same `key` never makes two. */
  start: (files, fields, key) =>
    answer('/jobs', { method: 'POST', body: form(files, fields), headers: { 'Idempotency-Key': key } }),

  /** Have `hear(kind, data)` called for all that happens to a job, until `signal` or its end. */
  follow: (id, hear, signal) => serverEvents(ask, `/jobs/${id}/events`, hear, signal)
}

const here = new URLSearchParams(location.search).get('local') === '1'
export const { choices, job, cancel, plan, start, follow } = here ? await import('./local.js') : server
