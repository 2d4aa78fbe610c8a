/** The font of every figure, shipped as an npm package: its files, and the width of a text in it, the same on every machine. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { LabError } from '../../errors.ts'

/** First family: what the PNGs use. The others have nearly its widths, for readers of the SVGs who lack it. */
export const FONT_FAMILY = 'DejaVu Sans Condensed, Helvetica Neue, Helvetica, Arial, sans-serif'

export type FontWeight = 'regular' | 'bold'

const files: Record<FontWeight, string> = {
  regular: 'DejaVuSansCondensed.ttf',
  bold: 'DejaVuSansCondensed-Bold.ttf',
}

/** Absolute path of a font file. */
export function fontFile(weight: FontWeight): string {
  return createRequire(import.meta.url).resolve(`dejavu-fonts-ttf/ttf/${files[weight]}`)
}

const metrics = new Map<FontWeight, FontMetrics>()

/** Width of a text in pixels at a font size in pixels; the font file is read once. */
export function textWidth(text: string, size: number, weight: FontWeight = 'regular'): number {
  const known = metrics.get(weight) ?? readFontMetrics(fontFile(weight))
  metrics.set(weight, known)
  return known.width(text) * size
}

/** Advance widths of a TrueType font, in em. */
interface FontMetrics {
  /** Width of `text` at font size 1; kerning left out. */
  width(text: string): number
}

/** Reads advance widths (`head`, `hhea`, `hmtx`, `cmap` format 4 of the OpenType specification). */
function readFontMetrics(file: string): FontMetrics {
  const bytes = readFileSync(file)
  const tables = new Map<string, number>()
  for (let i = 0; i < bytes.readUInt16BE(4); i++) {
    const entry = 12 + 16 * i
    tables.set(bytes.toString('latin1', entry, entry + 4), bytes.readUInt32BE(entry + 8))
  }
  const table = (name: string): number => {
    const offset = tables.get(name)
    if (offset === undefined) throw new LabError('INTERNAL', `${file}: the font has no ${name} table`)
    return offset
  }
  const unitsPerEm = bytes.readUInt16BE(table('head') + 18)
  const longMetrics = bytes.readUInt16BE(table('hhea') + 34)
  const hmtx = table('hmtx')
  const glyphs = readGlyphs(bytes, table('cmap'))
  const advance = (char: string): number => {
    const glyph = glyphs.get(char.codePointAt(0) ?? 0) ?? 0
    return bytes.readUInt16BE(hmtx + 4 * Math.min(glyph, longMetrics - 1)) / unitsPerEm
  }
  return { width: (text) => Array.from(text, advance).reduce((sum, width) => sum + width, 0) }
}

/** Code point to glyph number, from the Unicode BMP subtable. */
function readGlyphs(bytes: Buffer, cmap: number): Map<number, number> {
  const glyphs = new Map<number, number>()
  for (let i = 0; i < bytes.readUInt16BE(cmap + 2); i++) {
    const at = cmap + bytes.readUInt32BE(cmap + 4 + 8 * i + 4)
    if (bytes.readUInt16BE(at) !== 4) continue
    const segments = bytes.readUInt16BE(at + 6) / 2
    const [ends, starts] = [at + 14, at + 16 + 2 * segments]
    const [deltas, ranges] = [starts + 2 * segments, starts + 4 * segments]
    for (let s = 0; s < segments; s++) {
      const start = bytes.readUInt16BE(starts + 2 * s)
      const rangeAt = ranges + 2 * s
      const range = bytes.readUInt16BE(rangeAt)
      for (let code = start; code <= bytes.readUInt16BE(ends + 2 * s) && code < 0xffff; code++) {
        const raw = range === 0 ? code : bytes.readUInt16BE(rangeAt + range + 2 * (code - start))
        if (raw !== 0) glyphs.set(code, (raw + bytes.readInt16BE(deltas + 2 * s)) & 0xffff)
      }
    }
  }
  return glyphs
}
