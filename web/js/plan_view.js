// What would happen: a row for each size, with strategy, memory and time; and the model by itself.

import { element } from './dom.js'
import { bytes, seconds, size } from './format.js'
import { text, told } from './texts.js'

/** An element for an answer of /swin2sr/plan, or for {error}. */
export function planView(answer) {
  const problem = answer.error ?? sameProblem(answer.rows)
  if (problem) return element('p', { class: 'swin2sr-problem', role: 'status' }, told(problem))
  const heads = ['plan_size', 'plan_strategy', 'plan_memory', 'plan_time'].map((key) =>
    element('th', { scope: 'col' }, text(key))
  )
  const table = element(
    'table',
    { class: 'swin2sr-plan' },
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...answer.rows.map((row) => planRow(row, answer.free_bytes)))
  )
  const notes = new Set(answer.rows.flatMap((row) => row.notes ?? []))
  return element(
    'div',
    {},
    table,
    ...[...notes].map((note) => element('p', { class: 'swin2sr-note' }, told(note))),
    element('p', { class: 'swin2sr-foot' }, text('plan_free', { free: bytes(answer.free_bytes), device: answer.device }))
  )
}

/** An element for the model of an answer of /swin2sr/plan, or for {error}. */
export function modelView(answer) {
  if (answer.error) return element('p', { class: 'swin2sr-problem', role: 'status' }, told(answer.error))
  const weight = answer.model.bytes ? `, ${bytes(answer.model.bytes)}` : ''
  const values = { model: `${answer.model.name}${weight}`, precision: answer.precision, device: answer.device }
  return element('p', { class: 'swin2sr-foot' }, text('model_foot', values))
}

/** One sentence for all rows where none of them can be done, for one reason. */
function sameProblem(rows) {
  const problems = new Set(rows.map((row) => row.problem))
  return problems.size === 1 ? rows[0].problem : undefined
}

function planRow(row, free) {
  const frames = row.frames > 1 ? ` × ${row.frames}` : ''
  if (row.problem) {
    return element(
      'tr',
      {},
      element('td', {}, size(row.width, row.height) + frames),
      element('td', { colSpan: 3, class: 'swin2sr-problem' }, told(row.problem))
    )
  }
  const share = Math.min(row.forecast_bytes / Math.max(free, 1), 1)
  const memory = element(
    'span',
    { class: 'swin2sr-meter', title: text('plan_share', { used: bytes(row.forecast_bytes), free: bytes(free) }) },
    element('span', { style: `width: ${(share * 100).toFixed(1)}%` })
  )
  const host = row.host_bytes ? ` + ${bytes(row.host_bytes)}` : ''
  const time = row.seconds === null ? '–' : `${row.seconds_are_rough ? '≈ ' : ''}${seconds(row.seconds)}`
  const why = row.seconds === null ? 'plan_time_unknown' : row.seconds_are_rough ? 'plan_time_rough' : 'plan_time_learnt'
  return element(
    'tr',
    {},
    element('td', {}, `${size(row.width, row.height)}${frames} → ${size(...row.output)}`),
    element('td', { title: text(`strategy_${row.strategy}`) }, row.strategy),
    element('td', {}, bytes(row.forecast_bytes) + host, memory),
    element('td', { title: text(why) }, time)
  )
}
