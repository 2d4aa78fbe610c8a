/** The features of langdetect: n-grams of one to three normalised characters, without words in capitals. */
import { latinIndex, latinKey, type Profiles } from './profiles.ts'

/** Longer texts are cut. */
const maxCharacters = 10_000

const space = 0x20
const url = /https?:\/\/[-_.?&~;+=/#0-9A-Za-z]{1,2076}/gu
const mail = /[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}/gu
const marked = /[\s\S][\u0300\u0301\u0303\u0309\u0323]/gu
const uppercase = /^\p{Uppercase}$/u

/** Rows of the profiles' n-grams in the order of the text, as often as they occur. */
export function ngramRows(text: string, profiles: Profiles): number[] {
  const { rows: byNgram, latinRows } = profiles
  const rows: number[] = []
  const add = (row: number | undefined): void => {
    if (row !== undefined && row >= 0) rows.push(row)
  }
  // The two characters before, as far as they belong to the word, else 0; a space ends a word and begins the next.
  let before = 0
  let last = space
  let wasUpper = false
  let capitals = false
  for (const raw of withoutForeignLatin(prepared(text, profiles))) {
    const character = normalized(raw, profiles)
    if (last === space) {
      before = 0
      capitals = false
      if (character === space) continue
    }
    const upper = isUppercase(character)
    capitals = upper && (capitals || wasUpper)
    if (!capitals) {
      const first = latinIndex(before)
      const second = latinIndex(last)
      const third = latinIndex(character)
      if (second > 0 && third > 0 && (first > 0 || before === 0)) {
        if (character !== space) add(latinRows[latinKey(0, 0, third)])
        add(latinRows[latinKey(0, second, third)])
        if (before !== 0) add(latinRows[latinKey(first, second, third)])
      } else {
        if (character !== space) add(byNgram.get(String.fromCodePoint(character)))
        add(byNgram.get(String.fromCodePoint(last, character)))
        if (before !== 0) add(byNgram.get(String.fromCodePoint(before, last, character)))
      }
    }
    before = last
    last = character
    wasUpper = upper
  }
  return rows
}

function isUppercase(code: number): boolean {
  return code < 0x80 ? code >= 0x41 && code <= 0x5a : uppercase.test(String.fromCodePoint(code))
}

/** Code points without addresses, with marks composed, runs of spaces as one, at most `maxCharacters` looked at. */
function prepared(text: string, { composed }: Profiles): number[] {
  const unlinked = text.replace(url, ' ')
  const plain = unlinked.includes('@') ? unlinked.replace(mail, ' ') : unlinked
  const whole = plain.replace(marked, (pair) => composed.get(pair) ?? pair)
  const codes: number[] = []
  for (let i = 0, looked = 0; i < whole.length && looked < maxCharacters; looked++) {
    const code = whole.codePointAt(i) ?? 0
    i += code > 0xffff ? 2 : 1
    if (code !== space || codes.at(-1) !== space) codes.push(code)
  }
  return codes
}

/** Without `A` to `z` where they are fewer than half of the characters from U+0300 on. */
function withoutForeignLatin(codes: readonly number[]): readonly number[] {
  let latin = 0
  let other = 0
  for (const code of codes) {
    if (isLatin(code)) latin++
    else if (code >= 0x300) other++
  }
  return latin * 2 < other ? codes.filter((code) => !isLatin(code)) : codes
}

const isLatin = (code: number): boolean => code >= 0x41 && code <= 0x7a

/** One character for all of a kind that says no more than its kind. */
function normalized(code: number, { representatives }: Profiles): number {
  if (code <= 0x7f) return (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a ? code : space
  if (code <= 0xff) return code === 0xa0 || code === 0xab || code === 0xb0 || code === 0xbb ? space : code
  if (code === 0x219) return 0x15f
  if (code === 0x21b) return 0x163
  if (code === 0x6cc) return 0x64a
  if (code < 0x1ea0) return code
  if (code <= 0x1eff) return 0x1ec3
  if (code >= 0x2000 && code <= 0x206f) return space
  if (code >= 0x3040 && code <= 0x309f) return 0x3042
  if (code >= 0x30a0 && code <= 0x30ff) return 0x30a2
  if ((code >= 0x3100 && code <= 0x312f) || (code >= 0x31a0 && code <= 0x31bf)) return 0x3105
  if (code >= 0x4e00 && code <= 0x9fff) return representatives.get(code) ?? code
  if (code >= 0xac00 && code <= 0xd7af) return 0xac00
  return code
}
