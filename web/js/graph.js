// What the page's graph says: which node a message is for, and what is connected to a node.

const PASSES_THROUGH = 4 // mode of bypassed nodes
const MOST_STEPS = 30

/** The node of an execution id: "5", or "7:5" for node 5 of the subgraph in node 7. */
export function nodeOfExecution(graph, id) {
  let inside = graph
  let node = null
  for (const part of String(id).split(':')) {
    node = inside?.getNodeById?.(part) ?? inside?.getNodeById?.(Number(part)) ?? null
    inside = node?.subgraph
  }
  return node
}

/** The value of a node's widget, or `otherwise`. */
export function widgetValue(node, name, otherwise) {
  const found = node?.widgets?.find((widget) => widget.name === name)
  return found === undefined ? otherwise : found.value
}

/** The node that feeds an input, through reroutes and bypassed nodes; null where there is none. */
export function source(node, inputName) {
  let slot = node?.inputs?.findIndex((input) => input.name === inputName) ?? -1
  for (let step = 0; step < MOST_STEPS && slot >= 0; step++) {
    const kind = node.inputs[slot].type
    const from = node.getInputNode?.(slot)
    if (!from) return null
    if (from.type !== 'Reroute' && from.mode !== PASSES_THROUGH) return from
    node = from
    slot = from.type === 'Reroute' ? 0 : from.inputs.findIndex((input) => input.type === kind)
  }
  return null
}

/** The nodes of a type that the node's outputs lead to, reroutes left aside. */
export function targets(node, type) {
  const found = []
  for (const output of node.outputs ?? []) {
    for (const id of output.links ?? []) {
      const links = node.graph?.links
      const link = node.graph?.getLink?.(id) ?? links?.get?.(id) ?? links?.[id]
      const target = link && node.graph.getNodeById(link.target_id)
      if (target?.type === type || target?.comfyClass === type) found.push(target)
    }
  }
  return found
}

/**
 * The size of the pictures that an input will get, as far as the graph tells before anything runs.
 * @param {(name: string) => {width: number, height: number} | null} inputFile the size of a file of the input
 *   folder, null while it is not known
 * @returns {{width: number, height: number, frames: number} | null}
 */
export function pictureSize(node, inputName, inputFile) {
  let from = source(node, inputName)
  let scale = 1
  for (let step = 0; from && step < MOST_STEPS; step++) {
    const found = sizeByWidgets(from) ?? sizeOfFile(from, inputFile)
    if (found) {
      const grown = (side) => Math.max(1, Math.round(side * scale))
      return { width: grown(found.width), height: grown(found.height), frames: found.frames }
    }
    if (from.outputs?.some((output) => output.type === 'IMAGE') && isLoader(from)) return null
    scale *= ownScale(from)
    from = nextSource(from)
  }
  return null
}

function sizeByWidgets(node) {
  const [width, height] = ['width', 'height'].map((name) => Number(widgetValue(node, name, 0)))
  if (!(width > 0 && height > 0)) return null
  return { width, height, frames: Number(widgetValue(node, 'batch_size', 1)) || 1 }
}

function isLoader(node) {
  return !node.inputs?.some((input) => ['IMAGE', 'LATENT'].includes(input.type))
}

function sizeOfFile(node, inputFile) {
  if (!isLoader(node)) return null
  const name = widgetValue(node, 'image', null)
  const found = typeof name === 'string' ? inputFile(name) : null
  return found && { ...found, frames: 1 }
}

function ownScale(node) {
  if (node.type === 'Swin2SR_TiledUpscale') return Number(widgetValue(node, 'scale', 4)) || 1
  return Number(widgetValue(node, 'scale_by', 1)) || 1
}

function nextSource(node) {
  for (const kind of ['IMAGE', 'LATENT']) {
    for (const input of node.inputs ?? []) {
      const from = input.type === kind && input.link != null && source(node, input.name)
      if (from) return from
    }
  }
  return null
}
