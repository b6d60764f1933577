// Two pictures on top of one another, with a divider: drag, zoom, move, step through a batch.

import { button, element, icon } from './dom.js'
import { WHOLE, bounded, contentSize, moved, placed, sameShape, zoomedAt } from './compare_geometry.js'
import { openFullScreen } from './full_screen.js'
import { bindKeys, bindPointers } from './compare_input.js'
import { size as sizeText } from './format.js'
import { currentLanguage, text } from './texts.js'

const SHARP_SCALE = 3 // from here on single pixels are looked at, and are drawn as squares
const ZOOM_STEP = 1.4
const ICONS = {
  previous: 'M10 3 5 8l5 5',
  next: 'M6 3l5 5-5 5',
  out: 'M3 8h10',
  in: 'M3 8h10M8 3v10',
  fit: 'M2.5 3.5h11v9h-11zM5 6h6v4H5z',
  full: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10'
}

export class CompareView {
  /** `root` is the element to put into a page. Call `dispose` when it is not needed any more. */
  constructor() {
    this.view = WHOLE
    this.divider = 0.5
    this.index = 0
    this.pairs = { a: [], b: [] }
    this.content = [1, 1]
    this.sides = { a: this.#side('a'), b: this.#side('b') }
    this.root = this.#build()
    this.stop = new AbortController()
    bindPointers(this)
    bindKeys(this)
    this.resized = new ResizeObserver(() => this.layOut())
    this.resized.observe(this.stage)
    this.goTo(0)
  }

  /** Show lists of addresses: pair by pair, the last picture of a shorter list staying. */
  show(a, b) {
    this.pairs = { a, b }
    return this.goTo(Math.min(this.index, this.count - 1))
  }

  get count() {
    return Math.max(this.pairs.a.length, this.pairs.b.length)
  }

  get stageSize() {
    return [this.stage.offsetWidth || 1, this.stage.offsetHeight || 1]
  }

  /** Show pair number `index`, from 0; a promise that is kept when its pictures are drawn. */
  async goTo(index) {
    this.index = Math.min(Math.max(index, 0), Math.max(this.count - 1, 0))
    this.#tellIndex()
    this.message.textContent = this.count ? '' : text('compare_empty')
    await Promise.all(['a', 'b'].map((name) => this.#load(name)))
    this.content = contentSize(this.sides.a.natural, this.sides.b.natural)
    this.view = bounded(this.view, this.stageSize, this.content)
    this.layOut()
  }

  setDivider(part) {
    this.divider = Math.min(Math.max(part, 0), 1)
    this.#scheduleDivider()
  }

  zoomBy(factor, point = this.stageSize.map((side) => side / 2)) {
    this.view = zoomedAt(this.view, factor, point, this.stageSize, this.content)
    this.layOut()
  }

  moveBy(dx, dy) {
    this.view = moved(this.view, dx, dy, this.stageSize, this.content)
    this.layOut()
  }

  /** A pixel of the content on each of the screen's; what is smaller than the stage stays as it is. */
  showActual() {
    const { scale } = placed(this.view, this.stageSize, this.content)
    this.zoomBy(1 / (scale * devicePixelRatio))
  }

  showAll() {
    this.view = WHOLE
    this.layOut()
  }

  toggleFullScreen() {
    if (this.close) this.close()
    else {
      this.close = openFullScreen(this.root, text('compare'), () => {
        this.close = null
        this.full.setAttribute('aria-pressed', 'false')
      })
      this.full.setAttribute('aria-pressed', 'true')
      this.handle.focus({ preventScroll: true })
    }
  }

  /** Put everything where it belongs; cheap, and done at most once per frame. */
  layOut() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null
      this.#place()
    })
  }

  dispose() {
    this.close?.()
    this.stop.abort()
    this.resized.disconnect()
    cancelAnimationFrame(this.pending)
    for (const side of Object.values(this.sides)) side.image.removeAttribute('src')
  }

  // -- building ----------------------------------------------------------------------------------

  #side(name) {
    const image = element('img', { alt: '', draggable: false, decoding: 'async' })
    const inner = element('div', { class: 'swin2sr-inner' }, image)
    const clip = element('div', { class: `swin2sr-clip swin2sr-${name}` }, inner)
    const label = element('span', { class: `swin2sr-label swin2sr-label-${name}` })
    return { image, inner, clip, label, natural: null }
  }

  #build() {
    const { a, b } = this.sides
    this.handle = element('div', {
      class: 'swin2sr-handle',
      role: 'slider',
      tabIndex: 0,
      'aria-label': text('compare_divider'),
      'aria-valuemin': '0',
      'aria-valuemax': '100',
      'aria-orientation': 'horizontal'
    })
    this.message = element('div', { class: 'swin2sr-message', role: 'status' })
    this.stage = element(
      'div',
      { class: 'swin2sr-stage' },
      ...[a.clip, b.clip, a.label, b.label, this.handle, this.message]
    )
    this.counter = element('span', { class: 'swin2sr-counter', 'aria-live': 'polite' })
    this.zoomed = element('span', { class: 'swin2sr-zoom' })
    this.full = button(icon(ICONS.full), text('compare_full'), () => this.toggleFullScreen(), { 'aria-pressed': 'false' })
    this.steps = element(
      'span',
      { class: 'swin2sr-steps' },
      button(icon(ICONS.previous), text('compare_previous'), () => this.goTo(this.index - 1)),
      this.counter,
      button(icon(ICONS.next), text('compare_next'), () => this.goTo(this.index + 1))
    )
    const bar = element(
      'div',
      { class: 'swin2sr-bar', role: 'toolbar', 'aria-label': text('compare') },
      this.steps,
      element('span', { class: 'swin2sr-space' }),
      button(icon(ICONS.out), text('compare_out'), () => this.zoomBy(1 / ZOOM_STEP)),
      this.zoomed,
      button(icon(ICONS.in), text('compare_in'), () => this.zoomBy(ZOOM_STEP)),
      button(icon(ICONS.fit), text('compare_fit'), () => this.showAll()),
      button('1:1', text('compare_actual'), () => this.showActual()),
      this.full
    )
    const named = { role: 'group', 'aria-label': text('compare'), lang: currentLanguage() }
    return element('div', { class: 'swin2sr swin2sr-compare', ...named }, this.stage, bar)
  }

  // -- drawing -----------------------------------------------------------------------------------

  async #load(name) {
    const side = this.sides[name]
    const list = this.pairs[name]
    const address = list[Math.min(this.index, list.length - 1)]
    if (!address) {
      side.natural = null
      side.image.removeAttribute('src')
      return
    }
    if (side.image.getAttribute('src') !== address) side.image.src = address
    try {
      await side.image.decode()
    } catch {
      // Another picture was asked for meanwhile: then this failure says nothing.
      if (side.image.getAttribute('src') === address) this.message.textContent = text('compare_gone')
      return
    }
    side.natural = [side.image.naturalWidth, side.image.naturalHeight]
    side.image.alt = `${text(`compare_${name}`)}, ${sizeText(...side.natural)}`
    side.label.textContent = `${text(`compare_${name}`)} ${sizeText(...side.natural)}`
  }

  #place() {
    const where = placed(this.view, this.stageSize, this.content)
    for (const { image, natural } of Object.values(this.sides)) {
      const style = image.style
      style.visibility = natural ? 'visible' : 'hidden'
      style.width = `${where.width}px`
      style.height = `${where.height}px`
      style.transform = `translate(${where.left}px, ${where.top}px)`
      style.objectFit = natural && sameShape(natural, this.content) ? 'fill' : 'contain'
      style.imageRendering = where.scale >= SHARP_SCALE ? 'pixelated' : 'auto'
    }
    this.zoomed.textContent = this.count ? `${Math.round(where.scale * 100)} %` : ''
    this.handle.hidden = !this.count
    this.root.classList.toggle('swin2sr-zoomed', this.view.zoom > 1)
    this.#placeDivider()
  }

  #scheduleDivider() {
    this.pendingDivider ??= requestAnimationFrame(() => {
      this.pendingDivider = null
      this.#placeDivider()
    })
  }

  /** Layers slide over one another: nothing is drawn anew, however large the pictures are. */
  #placeDivider() {
    const width = this.stageSize[0]
    const at = Math.round(this.divider * width)
    const { a, b } = this.sides
    a.clip.style.transform = `translateX(${at - width}px)`
    a.inner.style.transform = `translateX(${width - at}px)`
    b.clip.style.transform = `translateX(${at}px)`
    b.inner.style.transform = `translateX(${-at}px)`
    this.handle.style.transform = `translateX(${at}px)`
    const percent = Math.round(this.divider * 100)
    this.handle.setAttribute('aria-valuenow', percent)
    this.handle.setAttribute('aria-valuetext', text('compare_value', { percent }))
  }

  #tellIndex() {
    this.counter.textContent = `${this.count ? this.index + 1 : 0} / ${this.count}`
    this.steps.hidden = this.count < 2
  }
}
