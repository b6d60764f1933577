// Server-sent events by fetch: EventSource sends no headers, and so no key.

const PAUSE = 1000 // milliseconds before a connection that was lost is made again

/**
 * Have `hear(kind, data)` called for each event, until `signal` or the stream's end. A connection that breaks is made
 * again, and goes on after the last event that came.
 * @param {(address: string, options: Object) => Promise<Response>} ask
 */
export async function serverEvents(ask, address, hear, signal) {
  let last = '0'
  while (!signal.aborted) {
    try {
      const response = await ask(address, { headers: { 'Last-Event-ID': last }, signal })
      if (!response.ok) return
      for await (const event of blocks(response.body)) {
        last = event.id ?? last
        if (event.data) hear(event.event, JSON.parse(event.data))
      }
      return
    } catch {
      if (signal.aborted) return
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    }
  }
}

/** The fields of each block of lines; comments make blocks without any. */
async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const parts = (rest + value).split('\n\n')
    rest = parts.pop()
    for (const part of parts) yield Object.fromEntries(part.split('\n').map((line) => line.split(/: (.*)/s, 2)))
  }
}
