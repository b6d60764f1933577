// One job: its progress, its pictures, and what can be done with them.

import * as api from './api.js'
import { Comparison } from './compare.js'
import { button, element } from './elements.js'
import { say, seconds, text, told } from './texts.js'

const PACE = 1000 // milliseconds between two looks at the queue
const MOST_STREAMS = 3 // browsers keep six connections to a server, and other requests need some
let streams = 0

export class JobCard {
  /** `originals` are addresses of the pictures before, where the page still has them. */
  constructor(job, originals, forget) {
    this.id = job.id
    this.rows = job.pictures.map((picture, index) => this.#row(picture, originals[index] ?? null))
    this.status = say(element('div', { className: 'title' }), () => this.#sentence())
    this.status.setAttribute('role', 'status')
    this.stop = button('cancel', () => this.#cancel())
    this.all = button('all', () => this.#save((job) => job.link))
    this.close = button('close', () => {
      this.#leave()
      for (const row of this.rows) row.view?.dispose()
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
    this.end = new AbortController()
    this.timer = setInterval(() => this.#look(), PACE)
  }

  #leave() {
    this.end?.abort()
    clearInterval(this.timer)
  }

  /** Hear of a running job's progress as it is made; of the others, and beyond a few, looking tells enough. */
  async #listen() {
    if (this.listening || streams >= MOST_STREAMS) return
    this.listening = true
    streams += 1
    await api.follow(this.id, (kind, data) => this.#hear(kind, data), this.end.signal)
    streams -= 1
  }

  #hear(kind, { picture, done }) {
    if (kind !== 'progress') return kind === 'planned' ? undefined : this.#look()
    const row = this.rows[picture - 1]
    if (this.job.ended || row.state !== 'queued') return
    row.bar.hidden = false
    row.bar.value = done
    say(row.line, () => text('running', { done: Math.round(done * 100) }))
  }

  async #look() {
    if (this.looking) return
    this.looking = true
    try {
      this.#show(await api.job(this.id))
    } catch (error) {
      this.#fail(error)
    }
    this.looking = false
  }

  #fail(error) {
    if (error.status === 404) this.gone()
    else say(this.status, () => text('lost'))
  }

  #show(job) {
    this.job = job
    if (job.ended) this.#leave()
    else if (job.state === 'running' && this.end) this.#listen()
    for (const picture of job.pictures) {
      const left = job.ended && picture.state === 'queued'
      this.#showPicture(left ? { ...picture, state: 'cancelled' } : picture)
    }
    this.stop.hidden = Boolean(job.ended)
    this.close.hidden = !job.ended
    this.all.hidden = job.state !== 'done' || job.pictures.length < 2 || !job.link
    // A screen reader says the status again whenever it is set.
    if (this.#sentence() !== this.status.textContent || !this.status.words) say(this.status, () => this.#sentence())
  }

  #sentence() {
    if (!this.job) return ''
    const { state, position, seconds_left: left, progress, ended, pictures } = this.job
    const over = pictures.filter((picture) => picture.state !== 'queued').length
    const done = Math.floor((100 * (over + (progress ?? 0))) / pictures.length)
    const line = state === 'queued' && position ? text('position', { position }) : text(state, { done })
    return left && !ended ? text('left', { state: line, time: seconds(left) }) : line
  }

  #showPicture(picture) {
    const row = this.rows[picture.number - 1]
    if (row.state === picture.state) return
    row.state = picture.state
    row.bar.hidden = true
    if (picture.state === 'failed') {
      const { detail } = picture.problem ?? {}
      say(row.line, () => (detail ? told(detail) : text('failed'))).className = 'bad'
    } else if (picture.state === 'done') this.#finish(row, picture)
    else say(row.line, () => text(picture.state))
  }

  #finish(row, picture) {
    const { report } = picture
    const [size, taken] = [report.output_size.join(' × '), report.inference_time_ms / 1000]
    say(row.line, () => [text('done'), size, seconds(taken), ...report.notices.map(told)].join(' · '))
    const link = (job) => job.pictures[picture.number - 1].link
    const look = button('look', () => this.#compare(row, look, link))
    look.ariaExpanded = 'false'
    row.acts.className = 'acts'
    row.acts.replaceChildren(look, button('download', () => this.#save(link, report.name)))
    if (this.rows.length === 1) look.click()
  }

  async #compare(row, look, link) {
    if (row.view) row.view = row.view.dispose()
    else {
      const address = await this.#fresh(link)
      if (address === null || row.view) return
      row.view = new Comparison(row.before, address)
      row.root.append(row.view.root)
    }
    look.ariaExpanded = String(Boolean(row.view))
  }

  async #save(link, name = '') {
    const href = await this.#fresh(link)
    if (href !== null) element('a', { href, download: name }).click()
  }

  /** A result's address as it holds now; null where it is gone, which the card then says. */
  async #fresh(link) {
    try {
      return link(await api.job(this.id))
    } catch (error) {
      this.#fail(error)
      return null
    }
  }

  gone() {
    this.#leave()
    for (const row of this.rows) {
      row.acts.replaceChildren()
      row.view = row.view?.dispose()
    }
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
