// Asks a person for the server's key. It stays in this tab alone, as long as the tab does.

import { element } from './elements.js'
import { say, text } from './texts.js'

let asking = null

/** A promise of the key; all who ask meanwhile wait for the same. `wrong`: the one before was not known. */
export function askKey(wrong) {
  asking ??= new Promise((resolve) => show(wrong, resolve)).finally(() => (asking = null))
  return asking
}

function show(wrong, resolve) {
  const words = say(element('label', { htmlFor: 'key' }), () => text(wrong ? 'key_wrong' : 'key_needed'))
  const input = element('input', {
    id: 'key',
    type: 'password',
    required: true,
    autocomplete: 'off',
    pattern: '[!-~]+' // what a header can carry
  })
  const go = say(element('button', { type: 'submit', className: 'main' }), () => text('key_send'))
  const form = element('form', {}, words, element('div', { className: 'bar' }, input, go))
  const dialog = element('dialog', { className: 'card' }, form)
  form.onsubmit = (event) => {
    event.preventDefault()
    resolve(input.value)
    dialog.remove()
  }
  dialog.oncancel = (event) => event.preventDefault() // without a key there is nothing to go back to
  dialog.onclose = () => dialog.isConnected && dialog.showModal()
  document.body.append(dialog)
  dialog.showModal()
}
