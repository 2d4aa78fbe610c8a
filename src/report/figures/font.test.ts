/** Measured widths are those that the renderer draws. */
import { Resvg } from '@resvg/resvg-js'
import { expect, test } from 'vitest'
import { type FontWeight, fontFile, textWidth } from './font.ts'

/** Right end of a text's ink in the renderer; trailing bar, so that spaces count. */
function inkEnd(text: string, weight: FontWeight): number {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="200"><text font-family="DejaVu Sans Condensed" font-weight="${weight === 'bold' ? 'bold' : 'normal'}" x="0" y="120" font-size="100">${text}|</text></svg>`
  const fonts = { loadSystemFonts: false, fontFiles: [fontFile('regular'), fontFile('bold')] }
  const box = new Resvg(svg, { font: fonts }).innerBBox()
  return (box?.x ?? 0) + (box?.width ?? 0)
}

test.each([
  ['triggered', 'regular'],
  ['0 4 8 16 32 64 128', 'regular'],
  ['pirate → depirate ●■▲◆', 'bold'],
  ['mmlu · ifeval – “removed”', 'regular'],
] as const)('%s (%s)', (text, weight) => {
  const drawn = inkEnd(text, weight) - inkEnd('', weight)
  // The renderer rounds its box to pixels and kerns; 100 px a character.
  expect(Math.abs(textWidth(text, 100, weight) - drawn)).toBeLessThan(4 + 1.5 * text.length)
})

test('a character that the font does not have takes the width of the missing glyph', () => {
  expect(textWidth('\u{1F3F4}', 10)).toBeGreaterThan(0)
})
