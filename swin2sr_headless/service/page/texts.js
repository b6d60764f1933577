// The page's words in English and Chinese, the server's sentences in both, and elements that change with the language.

import { learn, loadTexts, told } from '../web/js/texts.js'

export { learn, told }

const WORDS = {
  drop: ['Drop pictures here', '把图片拖到这里'],
  drop_more: ['or press to choose files, or paste a picture', '或点击选择文件，也可以直接粘贴图片'],
  model: ['Model', '模型'],
  scale: ['Enlarge', '放大倍数'],
  format: ['Format', '格式'],
  same: ['as the original', '与原图相同'],
  language: ['中文', 'English'],
  chosen: ['Pictures to upscale', '待放大的图片'],
  upscale: ['Upscale', '开始放大'],
  clear: ['Clear', '清空'],
  remove: ['Remove', '移除'],
  planning: ['planning …', '正在规划……'],
  plan: ['{from} → {to} · {bytes} · {time} · {cut} · exact: {exact}', '{from} → {to} · {bytes} · {time} · {cut} · 精确：{exact}'],
  yes: ['yes', '是'],
  no: ['no', '否'],
  time: ['about {time}', '约 {time}'],
  no_time: ['time not known yet', '时间未知'],
  whole: ['in one piece', '整图'],
  staged: ['in stages', '分阶段'],
  tiled: ['in tiles of {side}', '分块，边长 {side}'],
  sending: ['Sending …', '正在上传……'],
  queued: ['Waiting', '排队中'],
  position: ['Waiting, number {position} in the queue', '排队中，第 {position} 位'],
  running: ['Upscaling {done} %', '正在放大 {done}%'],
  left: ['{state}, {time} left', '{state}，还需 {time}'],
  done: ['Done', '完成'],
  failed: ['Failed', '失败'],
  cancelled: ['Cancelled', '已取消'],
  cancel: ['Cancel', '取消'],
  download: ['Download', '下载'],
  all: ['Download all (ZIP)', '全部下载（ZIP）'],
  close: ['Put away', '收起'],
  look: ['Compare', '对比'],
  not_shown: ['The browser cannot show this format; the download is whole.', '浏览器无法显示此格式，但可以正常下载。'],
  gone: ['This result is gone: results are kept for a while only. Upscale the picture again.', '结果已过期删除：结果只保留一段时间。请重新放大。'],
  lost: ['The server does not answer. Trying again …', '服务器没有响应，正在重试……'],
  unreachable: ['The server does not answer. Is it running?', '服务器没有响应，请确认它在运行。'],
  full: ['At most {most} pictures at a time.', '一次最多 {most} 张图片。'],
  local_note: ['computed in this browser: nothing is uploaded', '在此浏览器中计算，不上传任何图片'],
  local_missing: ['This server has no files for computing in the browser; it needs --local-assets. Without ?local=1 it computes itself.', '此服务器没有浏览器计算所需的文件（--local-assets）。去掉 ?local=1 则由服务器计算。'],
  local_unreadable: ['This browser cannot read this file as a picture.', '浏览器无法读取此图片文件。'],
  local_transparent: ['Pictures with transparency are computed by the server only: leave out ?local=1.', '带透明度的图片只能由服务器处理：请去掉 ?local=1。'],
  local_broken: ['What computes in the browser ended unexpectedly.', '浏览器中的计算意外结束。'],
  retry: ['Try again in {time}.', '请在 {time} 后重试。'],
  key_needed: ['This server asks for a key. It is kept in this tab alone.', '此服务器需要密钥。密钥只保留在当前标签页中。'],
  key_wrong: ['This key is not known here. Please check it.', '密钥无效，请检查后重新输入。'],
  key_send: ['Continue', '继续'],
  'compact-x4': ['', '小而快，适合干净或轻度 JPEG 压缩的图片；随程序附带'],
  'compact-real-x4': ['', '小而快，适合 JPEG、扫描件、有噪点的照片和老照片；随程序附带']
}

/** What the document hears once the language is another. */
export const LANGUAGE_CHANGED = 'swin2sr-language'
const CHOICE = 'swin2sr-language'
let column = (localStorage.getItem(CHOICE) ?? navigator.language).startsWith('zh') ? 1 : 0

const table = async (name) => [name, await (await fetch(`locales/${name}/main.json`)).json()]
const tables = async () => Object.fromEntries(await Promise.all(['en', 'zh'].map(table)))

/** Done when the tables that the nodes share with the page are here. */
export const tablesLoaded = loadTexts(tables, () => document.documentElement.lang).then(translate)

/** The words called `key` with {name} replaced; undefined where this language has none. */
export function text(key, values = {}) {
  const words = WORDS[key]?.[column]
  return words ? words.replace(/\{(\w+)\}/g, (_whole, name) => values[name]) : undefined
}

export function seconds(value) {
  const unit = value < 90 ? ['second', value] : value < 5400 ? ['minute', value / 60] : ['hour', value / 3600]
  const digits = value < 10 ? 1 : 0
  return amount(Math.max(unit[1], 0.1), unit[0], digits)
}

export function bytes(value) {
  const mega = value / 1e6
  return mega < 1000 ? amount(mega, 'megabyte', mega < 10 ? 1 : 0) : amount(mega / 1000, 'gigabyte', 1)
}

function amount(value, unit, digits) {
  const style = { style: 'unit', unit, maximumFractionDigits: digits }
  return new Intl.NumberFormat(document.documentElement.lang, style).format(value)
}

/** Let `node` always show what `words` says, in whatever language is chosen later too. */
export function say(node, words) {
  node.words = words
  node.toggleAttribute('data-says', true)
  node.textContent = words() ?? ''
  return node
}

export function translate() {
  document.documentElement.lang = column ? 'zh-CN' : 'en'
  for (const node of document.querySelectorAll('[data-key]')) node.textContent = text(node.dataset.key)
  for (const node of document.querySelectorAll('[data-says]')) node.textContent = node.words() ?? ''
}

export function switchLanguage() {
  column = 1 - column
  localStorage.setItem(CHOICE, column ? 'zh' : 'en')
  translate()
  document.dispatchEvent(new Event(LANGUAGE_CHANGED))
}
