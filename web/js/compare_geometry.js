// Where two pictures lie on a stage, for a zoom and a position. Pure functions of numbers.
//
// Stage and offsets are in CSS pixels. The content is the larger of the two pictures; `zoom` is 1 where all of
// it fits. A view is {zoom, x, y}: the content's point in the middle of the stage, in parts of its size.

const LARGEST_PIXEL = 32

export const WHOLE = Object.freeze({ zoom: 1, x: 0.5, y: 0.5 })

/** The content for two natural sizes [width, height]: the larger by area; null counts as nothing. */
export function contentSize(a, b) {
  if (!a || !b) return a ?? b ?? [1, 1]
  return a[0] * a[1] > b[0] * b[1] ? a : b
}

/** Whether a picture of that size may be stretched over the content: its shape is the same but for rounding. */
export function sameShape(natural, content) {
  const ratio = (natural[0] * content[1]) / (natural[1] * content[0])
  return Math.abs(Math.log(ratio)) < 0.02
}

/** CSS pixels per pixel of the content where all of it fits. */
export function fitScale(stage, content) {
  return Math.min(stage[0] / content[0], stage[1] / content[1])
}

/** The highest zoom: a pixel of the content is `LARGEST_PIXEL` CSS pixels wide. */
export function mostZoom(stage, content) {
  return Math.max(1, LARGEST_PIXEL / fitScale(stage, content))
}

/** {left, top, width, height, scale} of the content on the stage. */
export function placed(view, stage, content) {
  const scale = fitScale(stage, content) * view.zoom
  const [width, height] = [content[0] * scale, content[1] * scale]
  return {
    left: stage[0] / 2 - view.x * width,
    top: stage[1] / 2 - view.y * height,
    width,
    height,
    scale
  }
}

/** The view within bounds: no empty border where the content is larger than the stage, else centred. */
export function bounded(view, stage, content) {
  const zoom = Math.min(Math.max(view.zoom, 1), mostZoom(stage, content))
  const scale = fitScale(stage, content) * zoom
  const along = (position, axis) => {
    const half = stage[axis] / (2 * content[axis] * scale)
    return half >= 0.5 ? 0.5 : Math.min(Math.max(position, half), 1 - half)
  }
  return { zoom, x: along(view.x, 0), y: along(view.y, 1) }
}

/** Zoom by `factor`; what lies under the point (px, py) of the stage stays there. */
export function zoomedAt(view, factor, [px, py], stage, content) {
  const before = placed(view, stage, content)
  const zoom = Math.min(Math.max(view.zoom * factor, 1), mostZoom(stage, content))
  const under = [(px - before.left) / before.width, (py - before.top) / before.height]
  const growth = zoom / view.zoom
  const x = under[0] - (px - stage[0] / 2) / (before.width * growth)
  const y = under[1] - (py - stage[1] / 2) / (before.height * growth)
  return bounded({ zoom, x, y }, stage, content)
}

/** Move the content by CSS pixels. */
export function moved(view, dx, dy, stage, content) {
  const { width, height } = placed(view, stage, content)
  return bounded({ ...view, x: view.x - dx / width, y: view.y - dy / height }, stage, content)
}
