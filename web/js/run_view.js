// A run while it goes on, and its report when it is over.

import { button, element } from './dom.js'
import { bytes, percent, seconds, size } from './format.js'
import { text, told } from './texts.js'

/** Shows messages of the event "swin2sr.run"; `cancel` is called by its button. */
export class RunView {
  constructor(cancel) {
    this.fill = element('span', {})
    this.bar = element(
      'div',
      {
        class: 'swin2sr-progress',
        role: 'progressbar',
        'aria-label': text('run_progress'),
        'aria-valuemin': '0',
        'aria-valuemax': '100'
      },
      this.fill
    )
    this.line = element('span', { class: 'swin2sr-line' })
    this.memory = element('p', { class: 'swin2sr-foot' })
    this.steps = element('ul', { class: 'swin2sr-fallbacks', 'aria-live': 'polite' })
    this.root = element(
      'div',
      { class: 'swin2sr-run' },
      this.bar,
      element('div', { class: 'swin2sr-row' }, this.line, button(text('cancel'), text('cancel'), cancel)),
      this.memory,
      this.steps
    )
  }

  start(message) {
    this.planned = message
    this.steps.replaceChildren()
    this.#show(0, '')
    this.line.textContent = text('run_starts')
    this.#showMemory(null)
  }

  progress(message) {
    this.planned ??= message // the page was opened in the middle of a run
    const left = message.left_seconds
    const parts = [percent(message.fraction)]
    if (message.frames > 1) parts.push(text('run_frame', { n: message.frame, of: message.frames }))
    if (left !== null && left !== undefined) parts.push(text('run_left', { time: seconds(left) }))
    this.#show(message.fraction, parts.join(' · '))
    this.#showMemory(message.memory_bytes)
  }

  fallback(message) {
    this.steps.append(element('li', {}, told(message.sentence)))
  }

  #show(fraction, line) {
    this.fill.style.width = `${(fraction * 100).toFixed(1)}%`
    this.bar.setAttribute('aria-valuenow', Math.floor(fraction * 100))
    this.line.textContent = line
  }

  #showMemory(used) {
    const forecast = this.planned.forecast_bytes
    if (forecast === undefined) this.memory.textContent = used === null || used === undefined ? '' : bytes(used)
    else if (this.planned.device === 'cpu') {
      // The forecast is of tensors; what is measured here is the process, pictures included.
      const grown = used === null ? '' : ` · ${text('run_process', { used: bytes(used) })}`
      this.memory.textContent = `${this.planned.strategy}, ${this.planned.precision}${grown}`
    } else {
      const values = { used: used === null ? '–' : bytes(used), forecast: bytes(forecast) }
      this.memory.textContent = `${this.planned.strategy}, ${this.planned.precision} · ${text('run_memory', values)}`
    }
  }
}

/** The report of a "done" message, as people read it. */
export function reportView(message) {
  const frames = message.frames > 1 ? ` × ${message.frames}` : ''
  const measured = text(`report_of_${message.memory_of}`, {
    used: bytes(message.memory_bytes),
    forecast: bytes(message.forecast_bytes)
  })
  const rows = [
    ['report_size', `${size(...message.input)}${frames} → ${size(...message.output)}`],
    ['report_time', seconds(message.seconds) + expected(message)],
    ['report_memory', measured],
    ['report_way', `${message.used_strategy}, ${message.precision}, ${message.model}, ${message.device}`]
  ]
  const list = element('dl', { class: 'swin2sr-report' })
  for (const [key, value] of rows) list.append(element('dt', {}, text(key)), element('dd', {}, value))
  const remarks = [...message.fallbacks, ...message.notes]
  return element(
    'div',
    {},
    list,
    remarks.length
      ? element('ul', { class: 'swin2sr-fallbacks' }, ...remarks.map((each) => element('li', {}, told(each))))
      : element('p', { class: 'swin2sr-good' }, text('report_as_planned')),
    element(
      'details',
      {},
      element('summary', {}, text('report_all')),
      element('pre', {}, told(message.text))
    )
  )
}

/** What Face-Region Refine found, and what it did. */
export function facesView(message) {
  const { count, skipped, frames } = message
  const key = count === 0 ? 'faces_none' : count === 1 ? 'faces_one' : 'faces_many'
  const left = skipped ? text('faces_skipped', { n: skipped }) : ''
  const of = frames > 1 ? text('faces_of', { n: frames }) : ''
  const parts = [text(key, { n: count }) + of, left, text('faces_took', { time: seconds(message.seconds) })]
  return element(
    'div',
    {},
    element('p', { class: count ? 'swin2sr-good' : 'swin2sr-note', role: 'status' }, parts.filter(Boolean).join(' · ')),
    element('ul', { class: 'swin2sr-fallbacks' }, ...message.fallbacks.map((each) => element('li', {}, told(each))))
  )
}

function expected(message) {
  if (message.expected_seconds === null) return ''
  return ` (${text('report_expected', { time: seconds(message.expected_seconds) })})`
}
