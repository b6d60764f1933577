// Pictures that are chosen and not yet sent, each with its plan.

import * as api from './api.js'
import { button, element } from './elements.js'
import { bytes, say, seconds, text, told } from './texts.js'

export const MOST = 64 // as many as the server takes in one job

export class Draft {
  /** `fields()` is what is wanted of them; `run(files)` is called when a person says so. */
  constructor(root, fields, run) {
    this.items = []
    this.fields = fields
    this.list = element('ul')
    const heading = say(element('h2'), () => text('chosen'))
    this.go = button('upscale', () => run(this.items.map((item) => item.file)), 'main')
    const bar = element('div', { className: 'bar' }, heading, button('clear', () => this.clear()), this.go)
    this.root = root
    root.className = 'card'
    root.append(bar, this.list)
    this.#tell()
  }

  get room() {
    return MOST - this.items.length
  }

  add(files) {
    for (const file of files) this.#addOne(file)
    this.#tell()
    this.plan()
  }

  clear() {
    for (const item of this.items) this.#drop(item)
    this.items = []
    this.#tell()
  }

  /** Ask what each picture would take, one after the other; a newer call ends an older one. */
  async plan() {
    this.asking?.abort()
    const { signal } = (this.asking = new AbortController())
    for (const item of this.items) say(item.line, () => text('planning')).className = 'quiet'
    for (const item of [...this.items]) {
      try {
        const plan = await api.plan(item.file, this.fields(), signal)
        say(item.line, () => sentence(plan))
      } catch (error) {
        if (signal.aborted) return
        say(item.line, () => (error.status ? told(error.message) : text('unreachable'))).className = 'bad'
      }
    }
  }

  #addOne(file) {
    const address = URL.createObjectURL(file)
    const picture = element('img', { src: address, alt: '', onerror: () => (picture.hidden = true) })
    const line = element('div', { className: 'quiet' })
    const item = { file, line, address }
    const remove = button('remove', () => {
      this.items.splice(this.items.indexOf(item), 1)
      this.#drop(item)
      this.#tell()
    })
    const name = element('div', { className: 'name', textContent: file.name })
    item.row = element('li', {}, element('div', { className: 'row' }, picture, element('div', {}, name, line), remove))
    this.items.push(item)
    this.list.append(item.row)
  }

  #drop(item) {
    URL.revokeObjectURL(item.address)
    item.row.remove()
  }

  #tell() {
    this.root.hidden = !this.items.length
  }
}

/** A plan or the part of it that events tell, in a line. */
function sentence(plan) {
  const side = plan.plan.passes[0].tile_side
  const line = text('plan', {
    from: plan.input_size.join(' × '),
    to: plan.output_size.join(' × '),
    bytes: bytes(plan.bytes),
    time: plan.seconds === null ? text('no_time') : text('time', { time: seconds(plan.seconds) }),
    cut: text(plan.strategy, { side }) ?? plan.strategy,
    exact: text(plan.exact ? 'yes' : 'no')
  })
  return [line, ...plan.notices.map(told)].join(' · ')
}
