// The pack's part of the page. This file alone knows ComfyUI's page; the others are about elements.

import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'

import { CompareView } from './compare_view.js'
import { addStyles } from './dom.js'
import { nodeOfExecution, pictureSize, source, widgetValue } from './graph.js'
import { InputFiles } from './input_files.js'
import { KeptOutputs } from './kept_outputs.js'
import { Panel } from './panel.js'
import { loadTexts, note, text } from './texts.js'

const LOOK_MS = 400
const HEIGHTS = { model: 100, plan: 176, faces: 72 }
const COMPARE_HEIGHT = 220
const WIDGETS = ['scale', 'longest_side', 'edge', 'strategy', 'tile_size', 'overlap', 'max_memory', 'max_input_side', 'megapixels']
const ENDS = ['execution_success', 'execution_error', 'execution_interrupted']

const panels = new Map()
const views = new Map() // of all our nodes: what is told of their outputs
const placed = new WeakSet() // nodes that have been seen in a graph
let looking = null
let runningPrompt = null

const files = new InputFiles(
  (query) => api.apiURL(`/view?${query}`),
  () => look()
)

const kept = new KeptOutputs(app, api)

const page = {
  async askPlan(query, signal) {
    const answer = await api.fetchApi(`/swin2sr/plan?${new URLSearchParams(query)}`, { signal })
    return answer.json()
  },
  cancelRun: () => api.interrupt(runningPrompt),
  startDownload: (model) => post('/swin2sr/download', model),
  stopDownload: (model) => post('/swin2sr/download/stop', model)
}

function post(path, model) {
  const headers = { 'Content-Type': 'application/json' }
  return api.fetchApi(path, { method: 'POST', headers, body: JSON.stringify({ model }) })
}

// -- what is asked -------------------------------------------------------------------------------

function modelOf(loader) {
  if (loader?.type === 'Swin2SR_Load') {
    return { model: widgetValue(loader, 'model'), precision: widgetValue(loader, 'precision', 'auto') }
  }
  if (loader?.type === 'UpscaleModelLoader') return { model: widgetValue(loader, 'model_name'), precision: 'auto' }
  return null
}

function settingsOf(upscaler) {
  const size = pictureSize(upscaler, 'image', (name) => files.size(name))
  const values = WIDGETS.map((name) => [name, widgetValue(upscaler, name)])
  return { ...Object.fromEntries(values.filter(([, value]) => value !== undefined)), ...size }
}

function questionOfUpscaler(node) {
  const model = modelOf(source(node, 'model'))
  return model && { ...model, ...settingsOf(node) }
}

// -- widgets -------------------------------------------------------------------------------------

function addPanel(node, about, height, question) {
  const panel = new Panel(page, about, () => question(node))
  // Always as high: what is longer scrolls, so that no run moves a node over its neighbours.
  node.addDOMWidget('swin2sr_panel', 'swin2sr_panel', panel.root, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => height
  }).serialize = false
  panels.set(node, panel)
  watch(node, panel)
}

function watch(node, view) {
  views.set(node, view)
  chain(node, 'onRemoved', () => drop(node))
  looking ??= setInterval(look, LOOK_MS)
}

function drop(node) {
  views.get(node)?.dispose()
  views.delete(node)
  panels.delete(node)
}

function addCompare(node) {
  const view = new CompareView()
  node.addDOMWidget('swin2sr_compare', 'swin2sr_compare', view.root, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => COMPARE_HEIGHT
  }).serialize = false
  node.setSize([Math.max(node.size[0], 420), Math.max(node.size[1], 460)])
  const addresses = (list) => (list ?? []).map((file) => api.apiURL(`/view?${new URLSearchParams(file)}`))
  watch(node, {
    onOutput: (output) => view.show(addresses(output.a_images), addresses(output.b_images)),
    refresh() {},
    dispose: () => view.dispose()
  })
}

function chain(node, name, more) {
  const before = node[name]
  node[name] = function (...values) {
    const result = before?.apply(this, values)
    more(...values)
    return result
  }
}

/** Ask anew where what is to be asked has changed: widgets, links, pictures; and show what nodes have made. */
function look() {
  if (views.size === 0) {
    clearInterval(looking)
    looking = null
  }
  if (document.hidden) return
  for (const [node, view] of views) {
    if (node.graph) {
      placed.add(node)
      view.refresh()
      const output = kept.news(node)
      if (output) view.onOutput(output)
    } else if (placed.has(node)) drop(node) // converting to a subgraph takes nodes away without telling them
  }
}

// -- messages ------------------------------------------------------------------------------------

function panelOf(id) {
  return panels.get(nodeOfExecution(app.rootGraph ?? app.graph, id))
}

function listen() {
  api.addEventListener('swin2sr.run', ({ detail }) => {
    runningPrompt = detail.prompt || null
    panelOf(detail.node)?.onRun(detail)
  })
  api.addEventListener('swin2sr.download', ({ detail }) => {
    for (const panel of panels.values()) panel.onDownload(detail)
  })
  for (const name of ENDS) {
    api.addEventListener(name, ({ detail }) => {
      if (name === 'execution_error') panelOf(detail?.node_id)?.onStopped(detail.exception_message?.trim(), true)
      for (const panel of panels.values()) {
        panel.onStopped(text(name === 'execution_interrupted' ? 'run_cancelled' : 'run_over'))
        panel.refresh(true)
      }
    })
  }
}

const additions = {
  Swin2SR_Load: (node) => addPanel(node, 'model', HEIGHTS.model, modelOf),
  Swin2SR_TiledUpscale: (node) => addPanel(node, 'plan', HEIGHTS.plan, questionOfUpscaler),
  Swin2SR_FaceRefine: (node) => addPanel(node, 'faces', HEIGHTS.faces, () => null),
  Swin2SR_Compare: addCompare
}

const readTexts = () =>
  loadTexts(
    async () => (await api.fetchApi('/i18n')).json(),
    () => app.extensionManager?.setting?.get?.('Comfy.Locale') ?? 'en'
  )

const extension = {
  name: 'Swin2SR',
  async setup() {
    listen()
  },
  async init() {
    addStyles()
    await readTexts()
  },
  nodeCreated(node) {
    additions[node.comfyClass ?? node.type]?.(node)
  },
  /** Notes of our examples, once: from then on they are the user's. */
  loadedGraphNode(node) {
    const example = node.properties?.swin2sr_note
    if (!example) return
    delete node.properties.swin2sr_note
    const words = note(example)
    if (words) node.widgets[0].value = words
  }
}

/** In the place of a second copy of the pack: two would put two panels into each node. */
const secondCopy = {
  name: `Swin2SR ${import.meta.url}`,
  async setup() {
    await readTexts()
    const detail = text('two_copies', { place: new URL('..', import.meta.url).pathname })
    app.extensionManager?.toast?.add({ severity: 'warn', summary: 'Swin2SR', detail })
  }
}

const isSecond = app.extensions?.some((each) => each.name === extension.name)
app.registerExtension(isSecond ? secondCopy : extension)
