// What api.js asks of the server, done in the visitor's browser instead: no picture leaves it.

import { tileAxis } from './local_tiles.js'
import { text } from './texts.js'

const TILING = { tile: 128, overlap: 16 } // LR pixels: a tile takes about 120 MB
const TYPES = { png: 'image/png', jpeg: 'image/jpeg', webp: 'image/webp' }

const jobs = new Map()
let contract = null
let worker = null // a thread with the model, kept for the next picture
let last = Promise.resolve() // pictures wait for one another
let rate = null // seconds per LR pixel of a tile, as it was last

export async function choices() {
  const response = await fetch('local/contract.json')
  if (!response.ok) throw sentence('local_missing', response.status)
  contract = await response.json()
  const models = [{ name: contract.model, scale: contract.scale, for: text('local_note') }]
  return { models, scales: [String(contract.scale)], formats: Object.keys(TYPES) }
}

export async function plan(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw sentence('local_unreadable', 415)
  })
  const size = [bitmap.width, bitmap.height]
  bitmap.close()
  const [columns, rows] = size.map((side) => tileAxis(side, TILING.tile, TILING.overlap, contract.window))
  const pixels = columns.size * rows.size
  const tiles = columns.starts.length * rows.starts.length
  return {
    input_size: size,
    output_size: size.map((side) => side * contract.scale),
    bytes: bytesOf(size, pixels, rows.size),
    seconds: rate && rate * pixels * tiles,
    strategy: tiles > 1 ? 'tiled' : 'whole',
    exact: tiles === 1,
    plan: { passes: [{ tile_side: TILING.tile }] },
    notices: [text('local_note')]
  }
}

/** A tile in the network, as docs/export.md counts it; the picture; its result, twice; a row of tiles. */
function bytesOf([width, height], pixels, rows) {
  const { embed_dim: channels, num_heads: heads, window } = contract.config
  const tile = 4 * (1.5 * Math.max(...heads) * window ** 2 + 21 * channels) * pixels
  const { scale } = contract
  return tile + 4 * width * height * (1 + 2 * scale ** 2) + 12 * width * scale * rows * scale
}

export function start(files, fields) {
  const id = crypto.getRandomValues(new Uint32Array(4)).join('-')
  const pictures = files.map((file, index) => ({ number: index + 1, name: file.name, state: 'queued' }))
  const job = { id, state: 'queued', ended: null, progress: 0, pictures, link: null } // no ZIP of them here
  jobs.set(id, job)
  last = last.then(() => run(job, files, fields))
  return job
}

export function job(id) {
  if (!jobs.has(id)) throw Object.assign(new Error(id), { status: 404 })
  return jobs.get(id)
}

/** Have `hear(kind, data)` called for a job's progress, until `signal` or its end. */
export function follow(id, hear, signal) {
  job(id).hear = hear
  return new Promise((resolve) => signal.addEventListener('abort', resolve))
}

/** At once: its thread ends, and a new one loads the model again. */
export function cancel(id) {
  const found = job(id)
  if (found.ended) return
  end(found, 'cancelled')
  if (found.stop) {
    worker.terminate()
    worker = null
    found.stop()
  }
}

async function run(job, files, fields) {
  for (const picture of job.pictures) {
    if (job.ended) return
    job.state = 'running'
    job.progress = 0
    try {
      const done = await upscaled(job, picture, files[picture.number - 1], TYPES[fields.format])
      if (!done) return
      finish(picture, done, fields.format)
    } catch (error) {
      Object.assign(picture, { state: 'failed', problem: { detail: error.message } })
    }
    job.hear?.(`picture-${picture.state}`, { picture: picture.number })
  }
  end(job, job.pictures.some(({ state }) => state === 'done') ? 'done' : 'failed')
}

/** The worker's answer; null where the job was cancelled. */
function upscaled(job, picture, file, type) {
  worker ??= new Worker(new URL('./local_worker.js', import.meta.url), { type: 'module' })
  return new Promise((resolve, reject) => {
    job.stop = () => resolve(null)
    worker.onerror = (event) => reject(new Error(event.message || text('local_broken')))
    worker.onmessage = ({ data }) => {
      if (data.blob) resolve(data)
      else if (data.failed) reject(new Error(text(data.failed.key) ?? data.failed.detail))
      else {
        job.progress = data.progress
        job.hear?.('progress', { picture: picture.number, done: data.progress })
      }
    }
    worker.postMessage({ file, type, tiling: TILING })
  }).finally(() => (job.stop = null))
}

function finish(picture, { blob, size, seconds, engine }, format) {
  const axes = size.map((side) => tileAxis(side / contract.scale, TILING.tile, TILING.overlap, contract.window))
  rate = seconds / axes.reduce((work, axis) => work * axis.size * axis.starts.length, 1)
  const name = `${picture.name.replace(/\.\w+$/, '')}_x${contract.scale}.${format}`
  const link = URL.createObjectURL(blob)
  const notices = [`onnxruntime-web, ${engine}`]
  const report = { output_size: size, inference_time_ms: 1000 * seconds, notices, name }
  Object.assign(picture, { state: 'done', report, link })
}

function end(job, state) {
  Object.assign(job, { state, ended: Date.now() / 1000 })
  job.hear?.(state, { state })
}


function sentence(key, status) {
  return Object.assign(new Error(text(key)), { status })
}
