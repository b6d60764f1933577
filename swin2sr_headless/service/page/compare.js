// The nodes' divider between two pictures, in the language of this page.

import { CompareView } from '../web/js/compare_view.js'
import { addStyles } from '../web/js/dom.js'
import { element } from './elements.js'
import { LANGUAGE_CHANGED, say, tablesLoaded, text } from './texts.js'

addStyles()

export class Comparison {
  /** Addresses of the pictures; `before` is null where it is not known any more. */
  constructor(before, after) {
    this.root = element('div', { className: 'compare' })
    this.stop = new AbortController()
    this.#show(before, after)
  }

  dispose() {
    this.stop.abort()
    this.view?.dispose()
    this.root.remove()
  }

  async #show(before, after) {
    const [old, made] = await Promise.all([before && shapeOf(before), shapeOf(after), tablesLoaded])
    if (this.stop.signal.aborted) return
    if (!made) this.root.append(say(element('p', { className: 'quiet' }), () => text('not_shown')))
    else {
      this.root.style.setProperty('--ratio', made)
      const pair = [old ? [before] : [], [after]]
      document.addEventListener(LANGUAGE_CHANGED, () => this.#build(pair), { signal: this.stop.signal })
      this.#build(pair)
    }
  }

  #build(pair) {
    const { view, divider } = this.view ?? {}
    this.view?.dispose()
    this.view = Object.assign(new CompareView(), view && { view, divider })
    if (!pair[0].length) this.view.divider = 0
    this.root.replaceChildren(this.view.root)
    this.view.show(...pair)
  }
}

/** Width by height; null where the browser cannot draw it: browsers know no TIFF. */
function shapeOf(address) {
  const image = new Image()
  image.src = address
  return image.decode().then(
    () => image.naturalWidth / image.naturalHeight,
    () => null
  )
}
