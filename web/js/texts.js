// Texts of the pack in the page's language: the key "swin2sr" of locales/<language>/main.json.

let tables = {}
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
  const found = candidates.find((each) => each !== undefined) ?? key
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)
}

/** The language that texts are in now, for the `lang` of numbers and dates. */
export function currentLanguage() {
  return language() ?? 'en'
}
