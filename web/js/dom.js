// Elements, made in one call each.

/**
 * An element with properties, attributes and children.
 * @param {string} tag
 * @param {Object} [properties] `class`, `role`, `aria-*`, `data-*` and `for` become attributes; what starts
 *   with "on" and is a function becomes a listener; everything else is set on the element
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function' && name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (name === 'class' || name === 'role' || name.includes('-')) made.setAttribute(name, value)
    else made[name] = value
  }
  made.append(...children.filter((child) => child !== null))
  return made
}

/** A push button: a sign to see, and a name that screen readers say and the pointer shows. */
export function button(sign, name, act, properties = {}) {
  return element(
    'button',
    {
      type: 'button',
      title: name,
      'aria-label': name,
      onclick: (event) => {
        event.stopPropagation()
        act(event)
      },
      ...properties
    },
    sign
  )
}

const SVG = 'http://www.w3.org/2000/svg'

/** A line drawing on a field of 16 x 16, in the colour of the text around it; fonts lack such signs. */
export function icon(path) {
  const drawing = document.createElementNS(SVG, 'svg')
  const line = document.createElementNS(SVG, 'path')
  const attributes = { viewBox: '0 0 16 16', width: '14', height: '14', 'aria-hidden': 'true' }
  for (const [name, value] of Object.entries(attributes)) drawing.setAttribute(name, value)
  line.setAttribute('d', path)
  line.setAttribute('class', 'swin2sr-icon')
  drawing.append(line)
  return drawing
}

/** Bring the pack's style sheet into the page, once. */
export function addStyles() {
  const href = new URL('../css/swin2sr.css', import.meta.url).href
  if (document.querySelector(`link[href="${href}"]`)) return
  document.head.append(element('link', { rel: 'stylesheet', href }))
}
