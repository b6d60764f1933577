// What ComfyUI keeps of a node's last run. It is there also where nothing ran, because the cache answered, and where a
// workflow that was left is opened again: its nodes are new ones then, which no message has reached.

import { nodeOfExecution } from './graph.js'

export class KeptOutputs {
  constructor(app, api) {
    this.app = app
    this.api = api
    this.seen = new WeakMap()
    this.untold = new Set()
    this.prompt = null
    api.addEventListener('execution_cached', ({ detail }) => {
      this.prompt = detail.prompt_id
      this.untold = new Set(detail.nodes)
    })
    api.addEventListener('executed', ({ detail }) => this.untold.delete(detail.node))
    api.addEventListener('executing', ({ detail }) => detail === null && this.#ended())
  }

  /** A node's output where the page has got one since the last call; else null. */
  news(node) {
    const output = this.app.nodeOutputs?.[this.#place(node)] ?? null
    const known = this.seen.get(node) ?? null
    this.seen.set(node, output)
    return output === known ? null : output
  }

  /** Older servers send nothing of cached nodes that others read; their history has it. */
  async #ended() {
    const prompt = this.prompt
    const ours = [...this.untold].map((id) => [id, nodeOfExecution(this.#root, id)]).filter(([, node]) => this.seen.has(node))
    this.untold.clear()
    if (!ours.length) return
    const answer = await this.api.fetchApi(`/history/${prompt}`)
    const { outputs } = (await answer.json())[prompt] ?? {}
    for (const [id, node] of ours) if (outputs?.[id]) this.#keep(this.#place(node), outputs[id])
  }

  /** As the page does with what it is sent: shown now, and again when the workflow's tab is left and opened again. */
  #keep(place, output) {
    this.app.nodeOutputs[place] = output
    const tab = this.app.extensionManager?.workflow?.activeWorkflow?.changeTracker
    if (tab) tab.nodeOutputs = { ...tab.nodeOutputs, [place]: output }
  }

  get #root() {
    return this.app.rootGraph ?? this.app.graph
  }

  #place(node) {
    return node.graph && node.graph !== this.#root ? `${node.graph.id}:${node.id}` : String(node.id)
  }
}
