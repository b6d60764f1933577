// The page: choosing pictures and what is wanted of them, and the jobs that come of it.

import * as api from './api.js'
import { Draft, MOST } from './draft.js'
import { element } from './elements.js'
import { JobCard } from './job_card.js'
import { say, seconds, switchLanguage, text, told, translate } from './texts.js'

const JOBS = 'swin2sr-jobs'
const at = (id) => document.getElementById(id)

const fields = () => ({ model: at('model').value, scale: at('scale').value, format: at('format').value })
const draft = new Draft(at('draft'), fields, run)

function tell(words) {
  say(at('message'), words)
}

function tellError(error) {
  const wait = error.retryAfter ? () => text('retry', { time: seconds(Number(error.retryAfter)) }) : () => ''
  tell(() => (error.status ? `${told(error.message)} ${wait()}` : text('unreachable')))
}

function add(list) {
  const files = [...list]
  if (!files.length) return
  const { room } = draft
  tell(() => (files.length > room ? text('full', { most: MOST }) : ''))
  draft.add(files.slice(0, room))
}

async function run(files) {
  draft.go.disabled = true
  tell(() => text('sending'))
  try {
    const job = await api.start(files, fields(), key())
    show(job, files.map((file) => URL.createObjectURL(file)))
    remember([...remembered(), job.id])
    draft.clear()
    tell(() => '')
  } catch (error) {
    tellError(error)
  }
  draft.go.disabled = false
}

/** 128 random bits; crypto.randomUUID is missing where the page comes over plain HTTP from elsewhere. */
function key() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join('-')
}

// -- jobs that a reload finds again -----------------------------------------------------------------

function remembered() {
  return JSON.parse(sessionStorage.getItem(JOBS) ?? '[]')
}

function remember(ids) {
  sessionStorage.setItem(JOBS, JSON.stringify(ids))
}

function forget(id) {
  remember(remembered().filter((each) => each !== id))
}

function show(job, originals) {
  const card = new JobCard(job, originals, forget)
  at('jobs').prepend(card.root)
  return card
}

async function findAgain() {
  for (const id of remembered()) {
    try {
      show(await api.job(id), [])
    } catch (error) {
      if (error.status !== 404) return tellError(error)
      show({ id, state: 'done', ended: 1, pictures: [] }, []).gone()
    }
  }
}

// -- what is wanted ---------------------------------------------------------------------------------

async function offer() {
  const { models, scales, formats } = await api.choices()
  const options = (list) => list.map((value) => element('option', { value, textContent: value }))
  at('scale').append(...options(scales))
  for (const each of at('scale').options) each.textContent = `${each.value}×`
  at('format').append(...options(formats))
  for (const each of at('format').options) say(each, () => text(each.value) ?? each.value.toUpperCase())
  at('scale').value = scales.includes('4') ? '4' : scales[0]
  at('model').append(...options(models.map((model) => model.name)))
  const purpose = () => text(at('model').value) || models.find((model) => model.name === at('model').value)?.for
  say(at('purpose'), purpose)
  at('model').onchange = () => {
    at('scale').value = String(models.find((model) => model.name === at('model').value).scale ?? 4)
    say(at('purpose'), purpose)
  }
}

// -- how pictures come ------------------------------------------------------------------------------

function listen() {
  at('language').onclick = switchLanguage
  say(at('language'), () => text('language'))
  at('options').addEventListener('change', () => draft.plan())
  at('options').onsubmit = (event) => event.preventDefault()
  at('files').onchange = () => {
    add(at('files').files)
    at('files').value = ''
  }
  document.onpaste = (event) => add(event.clipboardData.files)
  document.ondragover = (event) => {
    event.preventDefault()
    at('drop').classList.add('over')
  }
  document.ondragleave = () => at('drop').classList.remove('over')
  document.ondrop = (event) => {
    event.preventDefault()
    at('drop').classList.remove('over')
    add(event.dataTransfer.files)
  }
}

listen()
translate()
offer().then(findAgain, tellError)
