// An element over the whole screen, and back to where it was.

import { element } from './dom.js'

/**
 * Move `target` into a layer over the page, and the layer to the full screen where the browser allows it.
 * @param {HTMLElement} target
 * @param {string} label what the layer is called by screen readers
 * @param {() => void} onClose called once, after `target` is back
 * @returns {() => void} closes the layer
 */
export function openFullScreen(target, label, onClose) {
  const place = document.createComment('swin2sr')
  const layer = element('div', { class: 'swin2sr-layer', role: 'dialog', 'aria-modal': 'true', 'aria-label': label })
  const focused = document.activeElement
  const behind = [...document.body.children].filter((each) => !each.inert)
  let open = true

  const close = () => {
    if (!open) return
    open = false
    document.removeEventListener('fullscreenchange', leave)
    if (document.fullscreenElement === layer) document.exitFullscreen().catch(() => {})
    // Its node may be gone meanwhile; then there is no place any more, and it goes with the layer.
    if (place.isConnected) place.replaceWith(target)
    layer.remove()
    for (const each of behind) each.inert = false
    focused?.focus?.({ preventScroll: true })
    onClose()
  }
  const leave = () => {
    if (document.fullscreenElement !== layer) close()
  }

  target.replaceWith(place)
  layer.append(target)
  document.body.append(layer)
  for (const each of behind) each.inert = true // Tab stays in the layer
  // Browsers refuse it to all but a person's click or key; the layer fills the window, which is nearly as good.
  if (navigator.userActivation?.isActive) {
    layer.requestFullscreen?.().then(
      () => (open ? document.addEventListener('fullscreenchange', leave) : undefined),
      () => {}
    )
  }
  return close
}
