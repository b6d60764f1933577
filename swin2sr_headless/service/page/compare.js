// Two pictures on top of one another, with a divider; all of them, or pixel for pixel.

import { button, element, named } from './elements.js'
import { say, text } from './texts.js'

/** The view of `before` (null: unknown) and `after`, addresses of pictures. */
export function comparison(before, after) {
  const newer = named(element('img', { src: after }), 'after')
  const older = before ? named(element('img', { src: before }), 'before') : null
  const line = element('div', { className: 'line' })
  const pair = element('div', { className: 'pair' }, newer, older, older && line)
  const stage = named(element('div', { className: 'stage', tabIndex: 0 }), 'look')
  stage.setAttribute('role', 'group')
  const slider = named(element('input', { type: 'range', min: 0, max: 100, value: 50, hidden: !older }), 'divider')
  const zoom = button('actual', () => setActual(!actual))
  let actual = false

  const divide = () => {
    line.style.left = `${slider.value}%`
    if (older) older.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`
  }
  const setActual = (wanted) => {
    const middle = (stage.scrollLeft + stage.clientWidth / 2) / pair.offsetWidth
    actual = wanted
    pair.style.width = actual ? `${newer.naturalWidth / devicePixelRatio}px` : '100%'
    stage.scrollLeft = middle * pair.offsetWidth - stage.clientWidth / 2
    say(zoom, () => text(actual ? 'fit' : 'actual'))
  }
  const drag = (event) => {
    if (!older || !(event.buttons & 1) || event.pointerType === 'touch') return
    const box = pair.getBoundingClientRect()
    slider.value = ((event.clientX - box.left) / box.width) * 100
    divide()
    event.preventDefault()
  }
  pair.onpointerdown = pair.onpointermove = drag
  pair.ondragstart = (event) => event.preventDefault()
  slider.oninput = divide
  const root = element('div', { className: 'compare' }, stage, slider, zoom)
  const unshown = () => root.replaceChildren(say(element('p', { className: 'quiet' }), () => text('not_shown')))
  newer.onerror = unshown
  if (older) older.onerror = () => [older, line, slider].forEach((node) => node.remove())
  stage.append(pair)
  divide()
  return root
}
