// Numbers as people read them.

import { text } from './texts.js'

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB']

/** 1288490189 -> "1.2 GB"; powers of 1024, as the reports count. */
export function bytes(count) {
  if (count === null || count === undefined) return text('unknown')
  const sign = count < 0 ? '-' : ''
  let value = Math.abs(count)
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${sign}${value.toFixed(digits)} ${UNITS[unit]}`
}

/** 0.42 -> "0.4 s", 75 -> "1 min 15 s", 4000 -> "1 h 7 min". */
export function seconds(count) {
  if (count === null || count === undefined) return text('unknown')
  if (count < 9.95) return text('seconds', { n: count.toFixed(1) })
  const whole = Math.round(count)
  if (whole < 60) return text('seconds', { n: whole })
  if (whole < 3600) return text('minutes', { m: Math.floor(whole / 60), s: whole % 60 })
  const minutes = Math.round(whole / 60)
  return text('hours', { h: Math.floor(minutes / 60), m: minutes % 60 })
}

/** 512, 768 -> "512×768". */
export function size(width, height) {
  return `${width}×${height}`
}

/** 0.423 -> "42 %". */
export function percent(fraction) {
  return `${Math.floor(fraction * 100)} %`
}
