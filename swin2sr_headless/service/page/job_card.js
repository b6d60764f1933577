// One job: its progress, its pictures, and what can be done with them.

import * as api from './api.js'
import { comparison } from './compare.js'
import { button, download, element } from './elements.js'
import { say, seconds, text } from './texts.js'

const PACE = 1000 // milliseconds between two looks at the queue

export class JobCard {
  /** `originals` are addresses of the pictures before, where the page still has them. */
  constructor(job, originals, forget) {
    this.id = job.id
    this.rows = job.pictures.map((picture, index) => this.#row(picture, originals[index] ?? null))
    this.status = say(element('div', { className: 'title' }), () => this.#sentence())
    this.status.setAttribute('role', 'status')
    this.stop = button('cancel', () => this.#cancel())
    this.all = download('all', api.archive(this.id))
    this.close = button('close', () => {
      this.#leave()
      originals.forEach(URL.revokeObjectURL)
      this.root.remove()
      forget(this.id)
    })
    const bar = element('div', { className: 'bar' }, this.status, this.all, this.stop, this.close)
    this.root = element('section', { className: 'card' }, bar, element('ul', {}, ...this.rows.map((row) => row.root)))
    this.#show(job)
    if (!job.ended) this.#follow()
  }

  #row(picture, before) {
    const line = element('div', { className: 'quiet' })
    const bar = element('progress', { max: 1, value: 0, ariaLabel: picture.name })
    const acts = element('span')
    const name = element('div', { className: 'name', textContent: picture.name })
    const image = before ? element('img', { src: before, alt: '', onerror: () => (image.hidden = true) }) : null
    const head = element('div', { className: 'row' }, image, element('div', {}, name, line, bar), acts)
    return { root: element('li', {}, head), line, bar, acts, before, state: null }
  }

  #follow() {
    this.events = api.events(this.id)
    const on = (kind, act) => this.events.addEventListener(kind, (event) => act(JSON.parse(event.data)))
    on('progress', ({ picture, done }) => {
      const row = this.rows[picture - 1]
      if (this.job.ended || row.state !== 'queued') return
      row.bar.hidden = false
      row.bar.value = done
      say(row.line, () => text('running', { done: Math.round(done * 100) }))
    })
    for (const kind of ['picture-done', 'picture-failed', 'done', 'failed', 'cancelled']) on(kind, () => this.#look())
    this.events.onerror = () => this.#look()
    this.timer = setInterval(() => this.#look(), PACE)
  }

  #leave() {
    this.events?.close()
    clearInterval(this.timer)
  }

  async #look() {
    try {
      this.#show(await api.job(this.id))
    } catch (error) {
      if (error.status === 404) this.gone()
      else say(this.status, () => text('lost'))
    }
  }

  #show(job) {
    this.job = job
    if (job.ended) this.#leave()
    for (const picture of job.pictures) {
      const left = job.ended && picture.state === 'queued'
      this.#showPicture(left ? { ...picture, state: 'cancelled' } : picture)
    }
    this.stop.hidden = Boolean(job.ended)
    this.close.hidden = !job.ended
    this.all.hidden = job.state !== 'done' || job.pictures.length < 2 || !api.archive(job.id)
    // A screen reader says the status again whenever it is set.
    if (this.#sentence() !== this.status.textContent || !this.status.words) say(this.status, () => this.#sentence())
  }

  #sentence() {
    if (!this.job) return ''
    const { state, position, seconds_left: left, progress, ended, pictures } = this.job
    const over = pictures.filter((picture) => picture.state !== 'queued').length
    const done = Math.floor((100 * (over + (progress ?? 0))) / pictures.length)
    const told = state === 'queued' && position ? text('position', { position }) : text(state, { done })
    return left && !ended ? text('left', { state: told, time: seconds(left) }) : told
  }

  #showPicture(picture) {
    const row = this.rows[picture.number - 1]
    if (row.state === picture.state) return
    row.state = picture.state
    row.bar.hidden = true
    if (picture.state === 'failed') {
      say(row.line, () => picture.problem?.detail ?? text('failed')).className = 'bad'
    } else if (picture.state === 'done') this.#finish(row, picture)
    else say(row.line, () => text(picture.state))
  }

  #finish(row, { report }) {
    const [size, taken] = [report.output_size.join(' × '), report.inference_time_ms / 1000]
    say(row.line, () => [text('done'), size, seconds(taken), ...report.notices].join(' · '))
    let view = null
    const look = button('look', async () => {
      look.ariaExpanded = String(!view)
      if (view) view = view.remove()
      else row.root.append((view = comparison(row.before, report.result)))
    })
    look.ariaExpanded = 'false'
    const save = download('download', report.result)
    if (report.result.startsWith('blob:')) save.download = report.name
    else save.onclick = (event) => this.#save(event, report.result)
    row.acts.className = 'acts'
    row.acts.replaceChildren(look, save)
    if (this.rows.length === 1) look.click()
  }

  /** A result that is gone must say so, and not be saved as a file with an error in it. */
  async #save(event, address) {
    if (event.target.dataset.sure) return delete event.target.dataset.sure
    event.preventDefault()
    const link = event.target
    const there = await fetch(address, { headers: { Range: 'bytes=0-0' } }).catch(() => null)
    if (!there) return say(this.status, () => text('unreachable'))
    if (there.status === 404) return this.gone()
    link.dataset.sure = 'yes'
    link.click()
  }

  gone() {
    this.#leave()
    for (const row of this.rows) row.acts.replaceChildren()
    this.all.hidden = this.stop.hidden = true
    this.close.hidden = false
    say(this.status, () => text('gone'))
  }

  async #cancel() {
    this.stop.disabled = true
    try {
      await api.cancel(this.id)
    } catch {
      // It ended meanwhile or the server is away; the next look tells which.
      this.stop.disabled = false
    }
  }
}
