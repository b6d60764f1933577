// What pointers and keys do to a CompareView.

const ZOOM_STEP = 1.4
const WHEEL_PACE = 0.0015
const GRIP = 14 // CSS pixels to each side of the divider that take hold of it
const DIVIDER_STEP = 0.01
const MOVE_STEP = 40

/** One pointer drags the divider, or the pictures where they are zoomed; two pinch; the wheel zooms. */
export function bindPointers(view) {
  const { stage } = view
  const options = { signal: view.stop.signal }
  const pointers = new Map()
  let dragging = null

  /** The event's place in the stage's own pixels, whatever scale the page has put on it. */
  const point = (event) => {
    const box = stage.getBoundingClientRect()
    const scale = stage.offsetWidth / box.width || 1
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]
  }

  stage.addEventListener(
    'pointerdown',
    (event) => {
      if (event.button !== 0 || !view.count) return
      event.stopPropagation()
      event.preventDefault()
      view.handle.focus({ preventScroll: true })
      stage.setPointerCapture(event.pointerId)
      const at = point(event)
      pointers.set(event.pointerId, at)
      const near = Math.abs(at[0] - view.divider * view.stageSize[0]) <= GRIP
      dragging = pointers.size > 1 ? 'pinch' : near || view.view.zoom === 1 ? 'divider' : 'pictures'
      // A finger may be the first of two: it moves nothing before it moves.
      if (dragging === 'divider' && event.pointerType !== 'touch') view.setDivider(at[0] / view.stageSize[0])
    },
    options
  )

  stage.addEventListener(
    'pointermove',
    (event) => {
      const before = pointers.get(event.pointerId)
      if (!before) return
      event.stopPropagation()
      const at = point(event)
      pointers.set(event.pointerId, at)
      if (dragging === 'divider') view.setDivider(at[0] / view.stageSize[0])
      else if (dragging === 'pictures') view.moveBy(at[0] - before[0], at[1] - before[1])
      else if (dragging === 'pinch') pinch(event.pointerId, before, at)
    },
    options
  )

  const pinch = (id, before, at) => {
    const [, other] = [...pointers].find(([each]) => each !== id) ?? []
    if (!other) return
    const distance = (each) => Math.hypot(each[0] - other[0], each[1] - other[1]) || 1
    view.moveBy((at[0] - before[0]) / 2, (at[1] - before[1]) / 2)
    view.zoomBy(distance(at) / distance(before), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2])
  }

  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return
    event.stopPropagation()
    // A finger that stays after a pinch does nothing until it is put down again.
    dragging = null
  }
  for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    stage.addEventListener(name, release, options)
  }

  stage.addEventListener(
    'wheel',
    (event) => {
      // Over a node that nobody has clicked, the wheel belongs to ComfyUI's canvas.
      if (!view.root.contains(document.activeElement) || !view.count) return
      event.stopPropagation()
      event.preventDefault()
      view.zoomBy(Math.exp(-event.deltaY * WHEEL_PACE), point(event))
    },
    { ...options, passive: false }
  )

  stage.addEventListener(
    'dblclick',
    (event) => {
      event.stopPropagation()
      if (view.view.zoom > 1) view.showAll()
      else view.zoomBy(4, point(event))
    },
    options
  )
}

/** Arrows move the divider; + - 0 1 zoom; Page Up and Down step; F and Esc go to the full screen and back. */
export function bindKeys(view) {
  const divide = (steps) => (event) => view.setDivider(view.divider + steps * DIVIDER_STEP * (event.shiftKey ? 10 : 1))
  const act = {
    ArrowLeft: divide(-1),
    ArrowRight: divide(1),
    ArrowDown: divide(-1),
    ArrowUp: divide(1),
    Home: () => view.setDivider(0),
    End: () => view.setDivider(1),
    PageUp: () => view.goTo(view.index - 1),
    PageDown: () => view.goTo(view.index + 1),
    '+': () => view.zoomBy(ZOOM_STEP),
    '=': () => view.zoomBy(ZOOM_STEP),
    '-': () => view.zoomBy(1 / ZOOM_STEP),
    0: () => view.showAll(),
    1: () => view.showActual(),
    f: () => view.toggleFullScreen(),
    Escape: () => view.close?.()
  }
  const move = {
    ArrowLeft: [MOVE_STEP, 0],
    ArrowRight: [-MOVE_STEP, 0],
    ArrowUp: [0, MOVE_STEP],
    ArrowDown: [0, -MOVE_STEP]
  }
  view.root.addEventListener(
    'keydown',
    (event) => {
      if (event.ctrlKey || event.metaKey) return
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
      if (key === 'Escape' && !view.close) return
      const action = event.altKey ? move[key] && (() => view.moveBy(...move[key])) : act[key]
      if (!action) return
      event.preventDefault()
      event.stopPropagation() // ComfyUI's own shortcuts are not meant
      action(event)
    },
    { signal: view.stop.signal }
  )
}
