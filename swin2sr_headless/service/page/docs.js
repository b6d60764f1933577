// The API as people read it, made from /openapi.json.

import { element } from './elements.js'

const api = await (await fetch('/openapi.json')).json()
const NAMED = /^#\/components\/schemas\//

const schemaOf = ({ $ref, ...schema }) => ($ref ? { ...api.components.schemas[$ref.replace(NAMED, '')], ...schema } : schema)

/** A schema in a few words, such as "integer, 0 to 100" or "png | jpeg". */
function words(given) {
  const schema = schemaOf(given)
  if (schema.enum) return schema.enum.join(' | ')
  if ('const' in schema) return String(schema.const)
  if (schema.anyOf) return schema.anyOf.filter((each) => each.const !== '').map(words).join(' or ')
  if (schema.type === 'array') return `list of ${schema.items ? words(schema.items) : 'anything'}`
  if (schema.format === 'binary') return 'file'
  const least = schema.minimum ?? (schema.exclusiveMinimum === undefined ? undefined : `over ${schema.exclusiveMinimum}`)
  const range = [least, schema.maximum].filter((each) => each !== undefined).join(' to ')
  return [schema.title && schema.type === 'object' ? schema.title : schema.type, range].filter(Boolean).join(', ')
}

function table(rows) {
  const cells = (row) => row.map((each, column) => element(column ? 'td' : 'th', { textContent: each ?? '', scope: column ? '' : 'row' }))
  const lines = rows.map((row) => element('tr', {}, ...cells(row)))
  return element('div', { className: 'scroll' }, element('table', {}, element('tbody', {}, ...lines)))
}

function fields(given) {
  const schema = schemaOf(given)
  const each = ([name, field]) => [schema.required?.includes(name) ? `${name} *` : name, words(field), schemaOf(field).description]
  return table(Object.entries(schema.properties ?? {}).map(each))
}

function section(name, ...content) {
  return element('details', {}, element('summary', { textContent: name }), ...content)
}

function body({ content }) {
  const forms = Object.entries(content).filter(([, { schema }]) => schema.format !== 'binary')
  const raw = Object.keys(content).filter((kind) => content[kind].schema.format === 'binary')
  const told = forms.map(([kind, { schema }]) => section(kind, fields(schema)))
  const bare = raw.length ? [element('p', { textContent: `or the picture itself as ${raw.join(', ')}` })] : []
  return [...told, ...bare]
}

function answer([status, { description, content = {} }]) {
  const kinds = Object.entries(content)
  const named = kinds.map(([, { schema }]) => schema && schemaOf(schema)).find((schema) => schema?.properties)
  const line = `${status} ${description}`
  return named && status < 300 ? section(line, fields(named)) : element('p', { className: 'quiet', textContent: line })
}

function operation(path, method, { description, summary, parameters = [], requestBody, responses }) {
  const heading = element('h2', {}, element('code', { textContent: `${method.toUpperCase()} ${path}` }))
  const rows = parameters.map((each) => [`${each.name} (${each.in})`, words(each.schema), each.schema.description])
  return element(
    'section',
    { className: 'card' },
    heading,
    element('p', { textContent: (description ?? summary).replaceAll('`', '') }),
    ...(rows.length ? [section('parameters', table(rows))] : []),
    ...(requestBody ? body(requestBody) : []),
    section('answers', ...Object.entries(responses).map(answer))
  )
}

for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, told] of Object.entries(methods)) document.getElementById('operations').append(operation(path, method, told))
}
