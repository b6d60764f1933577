// Sizes of the files in ComfyUI's input folder, learnt once each by letting the browser open them.

const KINDS = /\s\[(input|output|temp)\]$/

export class InputFiles {
  /**
   * @param {(query: URLSearchParams) => string} address of a file, by ComfyUI's /view
   * @param {() => void} onKnown called when a size has become known
   */
  constructor(address, onKnown) {
    this.address = address
    this.onKnown = onKnown
    this.sizes = new Map()
  }

  /** {width, height} of "folder/name.png" or "name.png [output]"; null while unknown. */
  size(name) {
    if (!this.sizes.has(name)) {
      this.sizes.set(name, null)
      this.#look(name)
    }
    return this.sizes.get(name)
  }

  async #look(name) {
    const image = new Image()
    image.src = this.address(fileQuery(name))
    try {
      await image.decode()
    } catch {
      return // no picture, or none that this browser reads: its size stays unknown
    }
    this.sizes.set(name, { width: image.naturalWidth, height: image.naturalHeight })
    image.removeAttribute('src')
    this.onKnown()
  }
}

/** What /view has to be asked for a file as the widgets of loaders name it. */
export function fileQuery(name) {
  const type = name.match(KINDS)?.[1] ?? 'input'
  const path = name.replace(KINDS, '')
  const cut = path.lastIndexOf('/')
  return new URLSearchParams({ filename: path.slice(cut + 1), subfolder: path.slice(0, Math.max(cut, 0)), type })
}
