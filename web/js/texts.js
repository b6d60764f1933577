// Texts of the pack in the page's language: the key "swin2sr" of locales/<language>/main.json.

const MOST_SENTENCES = 500 // free memory is told in many of them, and never the same

let tables = {}
const sentences = new Map() // what the server has said in English -> its key and values
let language = () => 'en'

/**
 * Take the tables from ComfyUI's server; without them keys are shown, and everything still works.
 * @param {() => Promise<Object>} fetchTables what the server says under /i18n: {language: {swin2sr: {...}}}
 * @param {() => string} currentLanguage such as "en", "zh", "zh-TW"; asked whenever a text is needed
 */
export async function loadTexts(fetchTables, currentLanguage) {
  language = currentLanguage
  try {
    tables = await fetchTables()
  } catch {
    tables = {}
  }
}

/** The text called `key`, with {name} replaced by values.name. */
export function text(key, values = {}) {
  const wanted = language() ?? 'en'
  const candidates = [wanted, wanted.split('-')[0], 'en'].map((each) => tables[each]?.swin2sr?.[key])
  return filled(candidates.find((each) => each !== undefined) ?? key, values)
}

function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)
}

/** Take the `words` of a message from the server: the key and the values of each sentence in it. */
export function learn(words = {}) {
  for (const [sentence, said] of Object.entries(words)) {
    sentences.delete(sentence)
    sentences.set(sentence, said)
  }
  for (const oldest of sentences.keys()) {
    if (sentences.size <= MOST_SENTENCES) break
    sentences.delete(oldest)
  }
}

/** A sentence (or lines of them) from the server in the page's language; in English where that has no words for it. */
export function told(sentence) {
  if (sentence.includes('\n')) return sentence.split('\n').map(told).join('\n')
  const said = sentences.get(sentence)
  const template = ownWords('swin2sr_sentences', said?.key)
  if (!template) return sentence
  return filled(template, Object.fromEntries(Object.entries(said.values).map(([name, value]) => [name, told(value)])))
}

/** The note of an example workflow in the page's language, undefined where it is the English one that stands there. */
export function note(example) {
  return ownWords('swin2sr_notes', example)
}

/** What a table of the page's own language has; English stands where it is needed already. */
function ownWords(table, key) {
  const wanted = currentLanguage()
  return [wanted, wanted.split('-')[0]].map((each) => tables[each]?.[table]?.[key]).find(Boolean)
}

/** The language that texts are in now, for the `lang` of what holds them. */
export function currentLanguage() {
  return language() ?? 'en'
}
