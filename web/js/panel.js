// The panel in our nodes: the model or the plan before a run, the run, the report after it.

import { checkedText, downloadView } from './download_view.js'
import { button, element } from './dom.js'
import { modelView, planView } from './plan_view.js'
import { RunView, facesView, reportView } from './run_view.js'
import { currentLanguage, learn, text, told } from './texts.js'

// What stands there where nothing can be asked yet.
const NOTHING = { model: 'plan_connect', plan: 'plan_connect', faces: 'faces_before' }

/**
 * What a panel needs of the page around it.
 * @typedef {Object} Page
 * @property {(query: Object, signal: AbortSignal) => Promise<Object>} askPlan
 * @property {() => void} cancelRun
 * @property {(model: string) => void} startDownload
 * @property {(model: string) => void} stopDownload
 */

export class Panel {
  /**
   * @param {Page} page
   * @param {'model' | 'plan' | 'faces'} about what the node decides, which its panel tells and others do not
   * @param {() => Object | null} question what to ask /swin2sr/plan for now; null where nothing is connected
   */
  constructor(page, about, question) {
    this.page = page
    this.about = about
    this.question = question
    this.asked = undefined
    this.done = false
    this.failed = false
    this.running = new RunView(() => page.cancelRun())
    this.parts = { report: element('div', { class: 'swin2sr-closable' }), run: element('div'), plan: element('div') }
    this.inside = element('div', { class: 'swin2sr-inside' }, ...Object.values(this.parts))
    const named = { role: 'group', 'aria-label': 'Swin2SR', lang: currentLanguage() }
    this.root = element('div', { class: 'swin2sr swin2sr-panel', ...named }, this.inside)
    // The wheel scrolls what is longer than the panel, and else is the canvas's.
    this.root.addEventListener('wheel', (event) => {
      if (this.root.scrollHeight > this.root.clientHeight + 1) event.stopPropagation()
    })
  }

  /** Ask for the plan again if what is to be asked has changed, or if `anyway`. */
  async refresh(anyway = false) {
    const query = this.question()
    const key = JSON.stringify(query)
    if (key === this.asked && !anyway) return
    this.asked = key
    if (this.failed && !anyway) this.#forget()
    this.aborter?.abort()
    if (query === null) {
      this.#show('plan', element('p', { class: 'swin2sr-foot' }, text(NOTHING[this.about])))
      return
    }
    const aborter = (this.aborter = new AbortController())
    try {
      const answer = await this.page.askPlan(query, aborter.signal)
      learn(answer.words)
      if (!aborter.signal.aborted) this.#showPlan(answer)
    } catch (error) {
      if (error.name !== 'AbortError') this.#show('plan', element('p', { class: 'swin2sr-foot' }, text('plan_unreachable')))
    }
  }

  /** A message of the event "swin2sr.run". */
  onRun(message) {
    learn(message.words)
    if (message.kind === 'failed') return // what ComfyUI says of it follows
    if (message.kind === 'done' || message.kind === 'faces') {
      this.#show('run')
      this.#showClosable('report', message.kind === 'done' ? reportView(message) : facesView(message))
      this.done = true
      this.#arrange()
      return
    }
    if (message.kind === 'start' || !this.parts.run.firstChild) {
      this.done = this.failed = false
      this.#show('report')
      this.#show('run', this.running.root)
    }
    this.running[message.kind]?.(message)
  }

  /** What ComfyUI keeps of the node's last run: its last message, also where the cache has answered a prompt. */
  onOutput(output) {
    const message = output.swin2sr?.at(-1)
    if (message) this.onRun(message)
  }

  /** The run is over without a report: cancelled, or failed with a sentence. */
  onStopped(sentence, failed = false) {
    if (!failed && !this.parts.run.firstChild) return
    this.done = this.failed = failed
    this.#show('run')
    this.#showClosable('report', element('p', { class: failed ? 'swin2sr-problem' : 'swin2sr-foot', role: 'status' }, told(sentence)))
    this.refresh(true)
  }

  /** A message of the event "swin2sr.download". */
  onDownload(state) {
    learn(state.words)
    const model = this.answer?.model
    if (model?.name !== state.model) return
    if (this.about !== 'model') {
      if (state.phase === 'done') this.refresh(true)
    } else if (state.phase === 'done') {
      this.#showClosable('report', element('p', { class: 'swin2sr-good', role: 'status' }, checkedText(state)))
      this.refresh(true)
    } else if (model.download) {
      model.download.state = state
      this.#showPlan(this.answer)
    } else if (state.phase === 'running') this.refresh(true)
  }

  dispose() {
    this.aborter?.abort()
  }

  #showPlan(answer) {
    this.answer = answer
    const ofModel = this.about === 'model'
    const focused = this.parts.plan.contains(document.activeElement)
    const parts = [ofModel ? modelView(answer) : planView(answer)]
    if (ofModel && answer.model?.download) {
      const { startDownload, stopDownload } = this.page
      parts.unshift(downloadView(answer.model, startDownload, stopDownload))
    }
    this.#show('plan', ...parts)
    if (focused) this.parts.plan.querySelector('button')?.focus({ preventScroll: true })
  }

  #show(part, ...content) {
    this.parts[part].replaceChildren(...content)
    this.#arrange()
  }

  /** While it runs, and until its report is closed, a run takes the place of the plan; a failed one until something is changed. */
  #arrange() {
    for (const part of Object.values(this.parts)) part.hidden = !part.firstChild
    if (this.done || this.parts.run.firstChild) this.parts.plan.hidden = true
  }

  #forget() {
    this.done = this.failed = false
    this.#show('report')
  }

  #showClosable(part, content) {
    const close = button('×', text('close'), () => {
      this.#forget()
      this.refresh(true)
    })
    close.classList.add('swin2sr-close')
    this.#show(part, content, close)
  }
}
