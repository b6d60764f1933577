// The network in a thread of this browser: pictures come as files and go as files; nothing is sent.

import { blendWeights, Strip, tileAxis, tilePlanes } from './local_tiles.js'

const ASSETS = new URL('../local/', self.location.href).href
const MOST_THREADS = 8

/** What runs the model, loaded with the first picture: {ort, session, contract, name}. */
let engine = null

async function load() {
  const gpu = await navigator.gpu?.requestAdapter().catch(() => null)
  if (gpu && !gpu.info?.isFallbackAdapter) { // that is a CPU's, and slower than wasm
    const made = await started('webgpu').catch((error) => console.warn(`no WebGPU, so wasm: ${error.message}`))
    if (made) return made
  }
  return started('wasm')
}

async function started(provider) {
  const ort = await import(`${ASSETS}ort.${provider}.min.mjs`)
  ort.env.logLevel = 'error'
  ort.env.wasm.wasmPaths = ASSETS
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1
  const contract = await (await fetch(`${ASSETS}contract.json`)).json()
  const session = await ort.InferenceSession.create(`${ASSETS}model.onnx`, { executionProviders: [provider] })
  return { ort, session, contract, name: provider }
}

async function tileUpscaled({ ort, session, contract }, planes, rows, columns) {
  const image = new ort.Tensor('float32', planes, [1, 3, rows, columns])
  const out = (await session.run({ [contract.input]: image }))[contract.output_name]
  const data = await out.getData()
  out.dispose()
  return data
}

async function decoded(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw Object.assign(new Error(), { key: 'local_unreadable' })
  })
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true })
  context.drawImage(bitmap, 0, 0)
  const picture = context.getImageData(0, 0, bitmap.width, bitmap.height)
  bitmap.close()
  for (let at = 3; at < picture.data.length; at += 4) {
    if (picture.data[at] < 255) throw Object.assign(new Error(), { key: 'local_transparent' })
  }
  return picture
}

async function upscaled(picture, { tile, overlap }, progress) {
  const { scale, window } = engine.contract
  const [width, height] = [picture.width * scale, picture.height * scale]
  const rows = tileAxis(picture.height, tile, overlap, window)
  const columns = tileAxis(picture.width, tile, overlap, window)
  const [down, across] = [rows, columns].map((axis) => blendWeights(axis, overlap, scale))
  const canvas = new OffscreenCanvas(width, height)
  const context = canvas.getContext('2d')
  const strip = new Strip(width, rows.size * scale)
  const total = rows.starts.length * columns.starts.length
  let done = 0
  for (const [row, top] of rows.starts.entries()) {
    for (const [column, left] of columns.starts.entries()) {
      const planes = tilePlanes(picture, top, left, rows.size, columns.size)
      const pixels = await tileUpscaled(engine, planes, rows.size, columns.size)
      strip.add(pixels, top * scale, left * scale, down[row], across[column])
      progress(++done / total)
    }
    const bottom = Math.min(height, (rows.starts[row + 1] ?? top + rows.size) * scale)
    const y = strip.top
    context.putImageData(new ImageData(strip.take(bottom), width), 0, y)
  }
  return canvas
}

self.onmessage = async ({ data: { file, type, tiling } }) => {
  try {
    const picture = await decoded(file)
    engine ??= await load()
    const started = performance.now()
    const canvas = await upscaled(picture, tiling, (progress) => self.postMessage({ progress }))
    const seconds = (performance.now() - started) / 1000
    const blob = await canvas.convertToBlob({ type, quality: 0.95 })
    self.postMessage({ blob, seconds, size: [canvas.width, canvas.height], engine: engine.name })
  } catch (error) {
    self.postMessage({ failed: { key: error.key, detail: error.message } })
  }
}
