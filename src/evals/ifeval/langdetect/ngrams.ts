/** The features of langdetect: n-grams of one to three normalised characters, without words in capitals. */
import { latinIndex, latinKey, type Profiles } from './profiles.ts'

/** Longer texts are cut. */
const maxCharacters = 10_000

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
  // The two characters before, as far as they belong to the word; a space ends a word and begins the next.
  let before = ''
  let last = ' '
  let wasUpper = false
  let capitals = false
  for (const raw of withoutForeignLatin(prepared(text, profiles))) {
    const character = normalized(raw, profiles)
    if (last === ' ') {
      before = ''
      capitals = false
      if (character === ' ') continue
    }
    const upper = isUppercase(character)
    capitals = upper && (capitals || wasUpper)
    if (!capitals) {
      const first = latinIndex(before.charCodeAt(0))
      const second = latinIndex(last.charCodeAt(0))
      const third = latinIndex(character.charCodeAt(0))
      const latin = second > 0 && third > 0 && (first > 0 || before === '')
      if (character !== ' ') add(latin ? latinRows[latinKey(0, 0, third)] : byNgram.get(character))
      add(latin ? latinRows[latinKey(0, second, third)] : byNgram.get(last + character))
      if (before !== '') {
        add(latin ? latinRows[latinKey(first, second, third)] : byNgram.get(before + last + character))
      }
    }
    before = last
    last = character
    wasUpper = upper
  }
  return rows
}

function isUppercase(character: string): boolean {
  const code = character.charCodeAt(0)
  return code < 0x80 ? code >= 0x41 && code <= 0x5a : uppercase.test(character)
}

/** Characters without addresses, with marks composed, runs of spaces as one, at most `maxCharacters` looked at. */
function prepared(text: string, { composed }: Profiles): string[] {
  const plain = text
    .replace(url, ' ')
    .replace(mail, ' ')
    .replace(marked, (pair) => composed.get(pair) ?? pair)
  const characters = Array.from(plain).slice(0, maxCharacters)
  return characters.filter((character, i) => character !== ' ' || characters[i - 1] !== ' ')
}

/** Without `A` to `z` where they are fewer than half of the characters from U+0300 on. */
function withoutForeignLatin(characters: readonly string[]): readonly string[] {
  let latin = 0
  let other = 0
  for (const character of characters) {
    const code = character.codePointAt(0) ?? 0
    if (isLatin(code)) latin++
    else if (code >= 0x300) other++
  }
  return latin * 2 < other ? characters.filter((c) => !isLatin(c.codePointAt(0) ?? 0)) : characters
}

const isLatin = (code: number): boolean => code >= 0x41 && code <= 0x7a

/** One character for all of a kind that says no more than its kind. */
function normalized(character: string, { representatives }: Profiles): string {
  const code = character.codePointAt(0) ?? 0
  if (code <= 0x7f) return (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a ? character : ' '
  if (code <= 0xff) return '\u00a0\u00ab\u00b0\u00bb'.includes(character) ? ' ' : character
  if (code === 0x219) return '\u015f'
  if (code === 0x21b) return '\u0163'
  if (code === 0x6cc) return '\u064a'
  if (code < 0x1ea0) return character
  if (code <= 0x1eff) return '\u1ec3'
  if (code >= 0x2000 && code <= 0x206f) return ' '
  if (code >= 0x3040 && code <= 0x309f) return '\u3042'
  if (code >= 0x30a0 && code <= 0x30ff) return '\u30a2'
  if ((code >= 0x3100 && code <= 0x312f) || (code >= 0x31a0 && code <= 0x31bf)) return '\u3105'
  if (code >= 0x4e00 && code <= 0x9fff) return representatives.get(character) ?? character
  if (code >= 0xac00 && code <= 0xd7af) return '\uac00'
  return character
}
