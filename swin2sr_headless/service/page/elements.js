// Elements, made in one call each.

import { say, text } from './texts.js'

/** An element with properties (`class` for className) and children; null children are left out. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children.filter((child) => child !== null))
  return made
}

/** A push button whose words are those called `key`. */
export function button(key, act, kind = '') {
  return say(element('button', { type: 'button', className: kind, onclick: act }), () => text(key))
}
