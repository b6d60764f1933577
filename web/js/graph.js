// What the page's graph says: which node a message is for, and what is connected to a node.

const PASSES_THROUGH = 4 // mode of bypassed nodes
const SUBGRAPH_INPUT = -10 // where links inside of a subgraph begin that come from outside
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

/** The value of a node's widget, also where it is set outside of the node's subgraph; or `otherwise`. */
export function widgetValue(node, name, otherwise) {
  const input = node?.inputs?.find((each) => each.widget?.name === name && each.link != null)
  const given = input ? linkedValue(node.graph, input.link) : undefined
  if (given !== undefined) return given
  const found = node?.widgets?.find((widget) => widget.name === name)
  return found === undefined ? otherwise : found.value
}

function linkedValue(graph, id) {
  const link = linkOf(graph, id)
  if (Number(link?.origin_id) !== SUBGRAPH_INPUT) return widgetValue(origin(graph, id), 'value')
  return widgetValue(holderOf(graph), graph.inputs?.[link.origin_slot]?.name)
}

/** The node that feeds an input, through reroutes, bypassed nodes and the borders of subgraphs; null where there is none. */
export function source(node, inputName) {
  const input = node?.inputs?.find((each) => each.name === inputName)
  return origin(node?.graph, input?.link)
}

function origin(graph, id) {
  for (let step = 0; step < MOST_STEPS; step++) {
    const link = linkOf(graph, id)
    if (!link) return null
    if (Number(link.origin_id) === SUBGRAPH_INPUT) {
      const holder = holderOf(graph)
      const name = graph.inputs?.[link.origin_slot]?.name
      id = holder?.inputs.find((input) => input.name === name)?.link
      graph = holder?.graph
      continue
    }
    const from = graph.getNodeById(link.origin_id)
    if (!from) return null
    if (from.type === 'Reroute') id = from.inputs[0]?.link
    else if (from.mode === PASSES_THROUGH) id = from.inputs.find((input) => input.type === link.type)?.link
    else if (from.subgraph) {
      graph = from.subgraph
      id = graph.outputs?.[link.origin_slot]?.linkIds?.[0]
    } else return from
  }
  return null
}

function linkOf(graph, id) {
  if (!graph || id === null || id === undefined) return null
  return graph.getLink?.(id) ?? graph.links?.get?.(id) ?? graph.links?.[id] ?? null
}

/** The node that stands for a subgraph; the first one where there are several. */
function holderOf(subgraph) {
  const waiting = [subgraph.rootGraph]
  for (const graph of waiting) {
    for (const node of graph?.nodes ?? []) {
      if (node.subgraph === subgraph) return node
      if (node.subgraph && !waiting.includes(node.subgraph)) waiting.push(node.subgraph)
    }
  }
  return null
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
