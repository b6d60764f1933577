// What ComfyUI keeps of a node's last run. It is there also where nothing ran, because the cache answered, and where a
// workflow that was left is opened again: its nodes are new ones then, which no message has reached.

import { nodeOfExecution } from './graph.js'

const OURS = 'Swin2SR_'

export class KeptOutputs {
  constructor(app, api) {
    this.app = app
    this.api = api
    this.seen = new WeakMap()
    this.used = false
    this.prompt = null
    api.addEventListener('execution_start', ({ detail }) => (this.prompt = detail.prompt_id))
    api.addEventListener('executing', ({ detail }) => detail === null && this.#ended(this.prompt))
  }

  /** A node's output where the page has got one since the last call; else null. */
  news(node) {
    this.used = true
    const output = this.app.nodeOutputs?.[this.#place(node)] ?? null
    const known = this.seen.get(node) ?? null
    this.seen.set(node, output)
    return output === known ? null : output
  }

  /**
   * The server's history has what the page may have missed: older servers send nothing of cached nodes that others
   * read, and what comes before the answer to the prompt itself, as the cache's does, the page keeps for no tab.
   */
  async #ended(prompt) {
    if (!this.used || prompt === null) return
    const answer = await this.api.fetchApi(`/history/${prompt}`)
    const ran = (await answer.json())[prompt]
    if (!ran) return
    const [, , graph, extra] = ran.prompt
    const tab = this.#tabOf(extra?.extra_pnginfo?.workflow?.id)
    if (!tab) return
    for (const [id, output] of Object.entries(ran.outputs)) {
      if (graph[id]?.class_type.startsWith(OURS)) this.#keep(tab, id, output)
    }
  }

  /** The tab of a workflow, rather the one in front where several have it. */
  #tabOf(workflow) {
    const { activeWorkflow, openWorkflows = [] } = this.app.extensionManager?.workflow ?? {}
    return [activeWorkflow, ...openWorkflows].find((tab) => workflow && tab?.activeState?.id === workflow)
  }

  /** As the page does with what it is sent: shown now, and again when the workflow's tab is left and opened again. */
  #keep(tab, id, output) {
    const inFront = tab === this.app.extensionManager.workflow.activeWorkflow
    const node = inFront && nodeOfExecution(this.#root, id)
    const place = node ? this.#place(node) : id
    const shown = this.app.nodeOutputs[place]
    // What is shown already stays the same object: a new one would be news.
    if (inFront && JSON.stringify(shown) === JSON.stringify(output)) output = shown
    else if (inFront) this.app.nodeOutputs[place] = output
    const tracker = tab.changeTracker
    if (tracker) tracker.nodeOutputs = { ...tracker.nodeOutputs, [place]: output }
  }

  get #root() {
    return this.app.rootGraph ?? this.app.graph
  }

  #place(node) {
    return node.graph && node.graph !== this.#root ? `${node.graph.id}:${node.id}` : String(node.id)
  }
}
