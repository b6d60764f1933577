// A model that is not here yet: its size, the way to get it, how far it is, and what to do offline.

import { button, element } from './dom.js'
import { bytes, percent, seconds } from './format.js'
import { text, told } from './texts.js'

/**
 * @param {Object} model of an answer of /swin2sr/plan, with `download`
 * @param {(name: string) => void} start
 * @param {(name: string) => void} stop
 */
export function downloadView(model, start, stop) {
  const { download, name } = model
  const state = download.state
  const going = state.phase === 'running' || state.phase === 'checking'
  const act = going
    ? button(text('cancel'), text('download_stop', { name }), () => stop(name))
    : button(text('download_button'), text('download_start', { name }), () => start(name), {
        class: 'swin2sr-primary'
      })
  const title = text('download_title', { name, size: model.bytes ? bytes(model.bytes) : text('download_size_unknown') })
  return element(
    'div',
    { class: 'swin2sr-download' },
    element('div', { class: 'swin2sr-row' }, element('span', { class: 'swin2sr-line' }, title), act),
    going ? progress(state) : null,
    stateLine(state, download),
    element(
      'details',
      { open: state.phase === 'failed' },
      element('summary', {}, text('download_offline')),
      element('p', {}, text('download_by_hand', { file: download.file_name })),
      element('input', { readOnly: true, value: download.url, 'aria-label': text('download_address') }),
      element('input', { readOnly: true, value: download.folder, 'aria-label': text('download_folder') })
    )
  )
}

/** The sentence about a finished download: what its checksum was compared with. */
export function checkedText(state) {
  return text(state.checked === 'record' ? 'download_recorded' : 'download_checked', { name: state.model })
}

function progress(state) {
  const part = state.total ? state.done / state.total : 0
  const bar = element(
    'div',
    {
      class: 'swin2sr-progress',
      role: 'progressbar',
      'aria-label': text('run_progress'),
      'aria-valuemin': '0',
      'aria-valuemax': '100',
      'aria-valuenow': Math.floor(part * 100)
    },
    element('span', { style: `width: ${(part * 100).toFixed(1)}%` })
  )
  return bar
}

function stateLine(state, download) {
  if (state.phase === 'running') {
    const parts = [text('download_so_far', { done: bytes(state.done), total: state.total ? bytes(state.total) : '?' })]
    if (state.total) parts.unshift(percent(state.done / state.total))
    if (state.pace > 0 && state.total) parts.push(text('run_left', { time: seconds((state.total - state.done) / state.pace) }))
    return element('p', { class: 'swin2sr-foot' }, parts.join(' · '))
  }
  if (state.phase === 'checking') return element('p', { class: 'swin2sr-foot' }, text('download_checking'))
  if (state.phase === 'failed') return element('p', { class: 'swin2sr-problem', role: 'alert' }, told(state.message))
  if (state.phase === 'stopped') return element('p', { class: 'swin2sr-foot' }, text('download_stopped'))
  const key = download.checked ? 'download_will_check' : 'download_will_record'
  return element('p', { class: 'swin2sr-foot' }, text(key, { licence: download.licence }))
}
