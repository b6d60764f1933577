// Tiles as `swin2sr upscale --strategy tiled` has them: where they lie, what they see, how they blend.

const EDGE_WEIGHT = 0.2 // what the Gaussian has fallen to at a tile's edge, from 1 at its centre

const roundUp = (size, multiple) => Math.ceil(size / multiple) * multiple

/** Equal tiles of at most `tile` over a side, padded to the window: {size, starts}, in LR pixels. */
export function tileAxis(side, tile, overlap, window) {
  const full = roundUp(side, window)
  if (full <= tile) return { size: full, starts: [0] }
  const count = Math.ceil((full - overlap) / (tile - overlap))
  const size = roundUp((full + (count - 1) * overlap) / count, window)
  const room = full - size
  const start = (index) => Math.floor(Math.floor((index * room) / (count - 1)) / window) * window
  return { size, starts: Array.from({ length: count }, (_, index) => start(index)) }
}

/** How much each tile counts at each of its HR pixels; at every pixel all tiles' weights sum to one. */
export function blendWeights({ size, starts }, overlap, scale) {
  const last = starts.length - 1
  const sides = starts.map((_, index) => profile(size * scale, overlap * scale, index > 0, index < last))
  const total = new Float64Array((starts[last] + size) * scale)
  starts.forEach((start, index) => sides[index].forEach((weight, at) => (total[start * scale + at] += weight)))
  return sides.map((side, index) => side.map((weight, at) => weight / total[starts[index] * scale + at]))
}

/** One tile's weight: nothing in the outermost quarter of an overlap, a smooth ramp, then a Gaussian. */
function profile(size, overlap, insideStart, insideEnd) {
  const ramp = (distance) => {
    const along = Math.min(Math.max((distance - overlap / 4) / (overlap / 2), 0), 1)
    return 0.5 - 0.5 * Math.cos(Math.PI * along)
  }
  return Float64Array.from({ length: size }, (_, index) => {
    const at = index + 0.5
    const centred = (at - size / 2) / (size / 2)
    const start = insideStart && overlap ? ramp(at) : 1
    const end = insideEnd && overlap ? ramp(size - at) : 1
    return start * end * Math.exp(centred * centred * Math.log(EDGE_WEIGHT))
  })
}

/** The pixel that lies at `position` of a side that runs up and down for ever, edges not repeated. */
function reflected(position, side) {
  if (side === 1) return 0
  const period = 2 * (side - 1)
  const at = position % period
  return at < side ? at : period - at
}

/** Planes R, G, B in 0..1 of a tile of `picture` (ImageData), reflected beyond its edges. */
export function tilePlanes({ data, width, height }, top, left, rows, columns) {
  const planes = new Float32Array(3 * rows * columns)
  for (let y = 0; y < rows; y++) {
    const line = reflected(top + y, height) * width
    for (let x = 0; x < columns; x++) {
      const from = 4 * (line + reflected(left + x, width))
      for (let channel = 0; channel < 3; channel++) {
        planes[(channel * rows + y) * columns + x] = data[from + channel] / 255
      }
    }
  }
  return planes
}

/** The rows of the result that tiles still add to: weighted sums, and rows that leave when finished. */
export class Strip {
  constructor(width, rows) {
    this.width = width
    this.top = 0
    this.sums = new Float32Array(3 * width * rows)
  }

  /** Add an upscaled tile, planes of `columns` x `down.length`, at HR pixel (y0, x0). */
  add(planes, y0, x0, down, across) {
    const [rows, columns] = [down.length, across.length]
    const wide = Math.min(columns, this.width - x0)
    for (let channel = 0; channel < 3; channel++) {
      for (let y = 0; y < rows; y++) {
        const from = (channel * rows + y) * columns
        const to = 3 * ((y0 - this.top + y) * this.width + x0) + channel
        for (let x = 0; x < wide; x++) this.sums[to + 3 * x] += planes[from + x] * down[y] * across[x]
      }
    }
  }

  /** The rows above `bottom` as opaque RGBA bytes; they leave, and those below move up. */
  take(bottom) {
    const count = 3 * this.width * (bottom - this.top)
    const bytes = new Uint8ClampedArray((count / 3) * 4).fill(255) // rounds, and clamps to 0..255
    for (let at = 0; at < count; at++) bytes[4 * Math.floor(at / 3) + (at % 3)] = this.sums[at] * 255
    this.sums.copyWithin(0, count)
    this.sums.fill(0, this.sums.length - count)
    this.top = bottom
    return bytes
  }
}
