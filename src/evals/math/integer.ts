/**
 * Reads what a box holds as one integer. It accepts the ways in which one finished number is written (signs, separators,
 * units, a name in front) and carries out no arithmetic: `2^{10}`, `3 + 4` and `\sqrt{25}` are expressions, not integers.
 *
 * Where the reference graders disagree: `5.0` and `\frac{10}{2}` equal 5 for Minerva's, which subtracts with sympy, and not
 * for Hendrycks', which compares texts. Here they are equal. Hendrycks' drops every space, so that `1 2` is 12; here spaces
 * separate digits only in groups of three.
 */

/** Characters, with all formatting; a longer text is no finished number. */
const longest = 400

/** LaTeX that changes how a number looks: it goes, and its contents stay. */
const wrapper =
  /\\(?:text\w*|math\w+|mbox|hbox|operatorname|boldsymbol|bm|emph|underline)\s*\{(?<held>[^{}]*)\}/gu

/** An upright letter in braces behind a digit is a unit: `5\text{ m}`, and with its number inside, `\text{5 m}`. */
const uprightUnit =
  /(?<=[0-9}]\s*)\\(?:text|textrm|textnormal|mathrm|mbox|hbox)\s*\{\s*(?:m\s+s|[msghdLlNJWVKCF]\.?)\s*\}/gu
const uprightAmount =
  /\\(?:text|textrm|textnormal|mathrm|mbox|hbox)\s*\{\s*(?<number>[0-9][0-9.,]*)\s+[msghdLlNJWVKCF]\.?\s*\}/gu

/** Stands for a line break and for `\quad`, which set statements apart as well as words; in the end it is a space. */
const gap = '\u2003'

/** Each is replaced everywhere, in this order. */
const rewritten: readonly (readonly [RegExp, string])[] = [
  [/[\u200b-\u200d\u2060\ufeff]|\ufe0f/gu, ''],
  [/[\u2212\u2013\ufe63\uff0d]/gu, '-'],
  [/\\\\|\\q?quad(?![a-zA-Z])/gu, gap],
  [/\\[()[\]]|\\?\$|\\textdollar(?![a-zA-Z])|[*`"“”]/gu, ''],
  [/\\(?:left|right|displaystyle|textstyle|bf|rm|it|large|Large|huge|Huge)(?![a-zA-Z])/gu, ''],
  [/\\color\s*\{[^{}]*\}|\\textcolor\s*\{[^{}]*\}/gu, ''],
  [/\s*\\!\s*/gu, ''],
  [/\\[,;: ]|~|\\(?:enspace|thinspace|space)(?![a-zA-Z])|\\hspace\s*\{[^{}]*\}/gu, ' '],
  [/(?<!\\[a-zA-Z]+\s*)[\^_]?\s*\{\s*(?<mark>,?)\s*\}/gu, '$<mark>'],
  // The `=` in `\sum_{i=1}` is no equation.
  [/_\s*\{[^{}]*=[^{}]*\}/gu, ''],
  [/\\[dtc]frac(?![a-zA-Z])/gu, String.raw`\frac`],
  [uprightUnit, ' units'],
  [uprightAmount, '$<number> units'],
]

const degrees =
  /(?:\^?\s*\{?\s*(?:\\circ|\\degree|\\textdegree|[°º])\s*\}?|\^\s*(?:o(?![a-zA-Z])|\{\s*o\s*\}))(?:\s*[CF](?![a-zA-Z]))?/gu
const percent = /\\?%/gu
const currency =
  /^(?<sign>-?)\s*(?:[€£¥]|\\(?:pounds|euro))\s*|\s*(?:[€£¥¢]|\\(?:pounds|euro|cents?|textcent))$/gu
const ordinal = /(?<=[0-9])\s*\^?\s*\{?(?:st|nd|rd|th)\}?$/u
/** `(C) 7`, as in contests; `Answer: 7`; `The answer is 7`; `There are 7 ways`; `Arrr, 7`; `Arrr! The answer be 7`. */
const preface =
  /^(?:\(?[A-E]\)|(?:[a-z]+[,!]?\s+){1,6}(?:is|are|be|equals)(?=[\s:]):?|\p{L}[\p{L} ]*:|[a-z]{3,}[,!](?=\s))\s*/iu
/** In a preface it says what the answer is not. */
const denied = /\b(?:no|not|none|never|neither|nor|wrong|incorrect|except)\b|[不没]/iu
/** `7 (seven)`, `60 minutes (1 hour)`. */
const aside = /(?:(?<=[0-9])\s+\([a-z][a-z ]+|(?<=[a-z])\s+\([a-z0-9 ,.]*[a-z]{2}[a-z0-9 ,.]*)\)$/iu
/** Ornaments around an answer. */
const ornament = /^(?:\p{Extended_Pictographic}|\s)+|(?:\p{Extended_Pictographic}|\\checkmark|\s)+$/gu

/** Letters glued to a number are a unit when they are one of these; behind a space, any word of three letters is. */
const units = /^(?:[cmk]m|ft|in|yd|mi|lbs?|oz|[km]g|m[lL]|hr|sq|cu|[ap]m|[AP]M|units?)$/u
/** They are part of one before another word: `12 per hour`, `12 dollars a day`. */
const unitsBeforeAnother = /^(?:of|o'|per|a)$/u
/** `p.m.`, `m.p.h.` */
const dotted = /(?<![a-zA-Z])[a-zA-Z](?:\.[a-zA-Z])+(?![a-zA-Z])\.?/gu
/** Single letters are units beside a stroke only: `60 m/s`. */
const unitsBesideStroke = /^[mshgL]$/u
/** Words that make another number of it, a second one, or one that is not exact: anywhere behind it, or next to it. */
const telling =
  /\b(?:or|not|none|undefined|infinity|than|least|most|less|fewer|wrong|incorrect|approx(?:imately)?|roughly|nearly|almost|about|tens|hundreds?|thousands?|(?:m|b|tr)illion(?:th)?s?|mil|mille|millones|tausend|dozens?|hal(?:f|ves)|thirds?|quarters?|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand)ths?)\b|[十百万萬亿億兆半多余餘倍或]|千(?![米克瓦])|тысяч|миллион/iu
const joining =
  /^(?:and|to|over|mod|modulo|base|plus|minus|squared|cubed|factorial|choose|(?:times|root)(?=\s+\S))(?![a-z])/iu
/** Functions and variables by their names. */
const symbols =
  /\b(?:(?:arc)?(?:sin|cos|tan)h?|cot|csc|log|exp|lim|det|sqrt|alpha|beta|gamma|delta|epsilon|theta|lambda|sigma|omega|phi|psi|rho|tau|chi|[abc]{3}|[xyz]{3})\b|\p{Script=Greek}|[\u{1d400}-\u{1d7ff}]/iu

/** `1,234` or `1 234`: one separator, groups of three. */
const grouped = /^[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)$/u

/**
 * The integer that a text holds, in its shortest form (`-12`, no plus, no leading zeros); null where it holds none, or more
 * than one.
 */
export function canonicalInteger(text: string): string | null {
  if (text.length > longest) return null
  const plain = unwrap(inAscii(text))
    .replaceAll(/\s+/gu, (space) => (space.includes(gap) ? gap : ' '))
    .replaceAll(ornament, '')
  if (/\.\.|…/u.test(plain)) return null
  return valueOf(plain.replace(/[.,;:]$/u, ''))
}

/** Full-width characters as those of ASCII. */
function inAscii(text: string): string {
  return text.replaceAll(/[\uff01-\uff5e]/gu, (wide) => String.fromCodePoint(wide.codePointAt(0)! - 0xfee0))
}

function unwrap(text: string): string {
  let bare = text
  for (const [pattern, by] of rewritten) bare = bare.replaceAll(pattern, by)
  for (;;) {
    const inner = bare.replaceAll(wrapper, '$<held>')
    if (inner === bare) return bare
    bare = inner
  }
}

/** The value of a text without formatting: what is behind the last `=`, if there is one. */
function valueOf(text: string): string | null {
  const parts = text.split('=').map((part) => part.trim())
  const last = parts.at(-1) ?? ''
  const before = parts.slice(0, -1)
  if (before.some((part, i) => isRelation(part) || hasSeveral(part) || (i > 0 && holdsAnother(part))))
    return null
  const [first] = before
  // `7 = x`
  if (first !== undefined && /^(?:[a-zA-Z]|\\[a-z]+)$/u.test(last)) return numberOf(first)
  return numberOf(last)
}

/** `3 \quad x` or `3 x` between two `=`: the first equation has ended, and another begins. */
function holdsAnother(middle: string): boolean {
  return middle.includes(gap) || /[0-9)}] [a-zA-Z](?<![msghdLlNJWVKCF])(?:_\S+)?$/u.test(middle)
}

/** `<=`, `!=`, `≈=` and the like are no equations. */
function isRelation(left: string): boolean {
  return /[<>!~≠]\s*$/u.test(left)
}

/** `x = 3, y` or `x = 3 or x`, the left of a last `=`: there is another answer beside this one. */
function hasSeveral(left: string): boolean {
  const outside = left.replaceAll(/[([{][^()[\]{}]*[)\]}]/gu, '').replaceAll(/(?<=[0-9]),(?=[0-9]{3})/gu, '')
  return /[,;]|\b(?:or|and)\b|\\(?:lor|land|vee|wedge)/iu.test(outside)
}

function numberOf(text: string): string | null {
  const plain = text.replaceAll(gap, ' ')
  const said = preface.exec(plain)?.[0] ?? ''
  if (denied.test(said) || (/[,!]\s*$/u.test(said) && symbols.test(said))) return null
  let bare = plain
    .slice(said.length)
    .replaceAll(degrees, ' ')
    .replaceAll(percent, ' ')
    .trim()
    .replaceAll(currency, '$<sign>')
    .replace(aside, (note) => (telling.test(note) || symbols.test(note) ? note : ''))
    .replace(ordinal, '')
    .replace(/(?<=[0-9])'{1,2}$/u, '')
    .replace(/(?<=[0-9])\s*_\s*\{?\s*(?:10|ten)\s*\}?$/u, '')
  bare = withoutUnit(bare.replaceAll(dotted, (letters) => letters.replaceAll('.', '')))
    .trim()
    .replace(/[.,;]$/u, '')
  const inParentheses = /^(?:\((?<held>[^(),]*)\)|\\\{(?<held>[^{}\\,]*)\\\})$/u.exec(bare)?.groups?.['held']
  return integerOf(fractionOf(inParentheses ?? bare)) ?? integerOf(inParentheses ?? bare)
}

/**
 * Cuts off what is said behind a number: `25 cm^2`, `3 square feet`, `60 mph`, `15, matey!`; leaves the text alone where the
 * letters may mean something else.
 */
function withoutUnit(text: string): string {
  const parts =
    /^(?<number>.*[0-9)}]\.?)(?<space>\s*,?\s*)(?<unit>\p{L}[\p{L}\p{M} ,!.'’/-]*?)(?:\s*(?:\^\s*\{?\s*(?:-\s*1|[23])\s*\}?|[²³]))?[.!]?$/u.exec(
      text,
    )?.groups
  if (parts === undefined) return text
  const { number = '', space = '', unit = '' } = parts
  if (telling.test(unit) || joining.test(unit) || symbols.test(unit)) return text
  const words = unit
    .replaceAll('’', "'")
    .split(/[\s.,!/-]+/u)
    .filter((word) => word !== '')
  const inWords = words.some((word) => word.length > 2)
  const isUnit = words.every((word, i) => {
    if (unitsBeforeAnother.test(word)) return i < words.length - 1
    if (units.test(word) || (unit.includes('/') && unitsBesideStroke.test(word))) return true
    if (!/\p{Script=Latin}/u.test(word)) return true
    return space !== '' && (word.length > 2 || (inWords && word.length > 1) || words[i - 1] === 'of')
  })
  return isUnit ? number : text
}

/** `\frac{10}{2}` and `10/2` as `5`, where the one divides the other; otherwise an empty text. */
function fractionOf(text: string): string {
  const parts = (
    /^(?<sign>[+-]?)\s*\\frac\s*(?:\{\s*(?<top>-?\s*[0-9]+)\s*\}|(?<top>[0-9]))\s*(?:\{\s*(?<bottom>-?\s*[0-9]+)\s*\}|(?<bottom>[0-9]))$/u.exec(
      text,
    ) ?? /^(?<sign>[+-]?)\s*(?<top>[0-9]+)\s*\/\s*(?<bottom>-?[0-9]+)$/u.exec(text)
  )?.groups
  if (parts === undefined) return ''
  const top = BigInt((parts['top'] ?? '').replaceAll(/\s/gu, ''))
  const bottom = BigInt((parts['bottom'] ?? '').replaceAll(/\s/gu, ''))
  if (bottom === 0n || top % bottom !== 0n) return ''
  return String(parts['sign'] === '-' ? -(top / bottom) : top / bottom)
}

/** Digits with a sign, thousands in groups of three, and a decimal part of zeros. */
function integerOf(text: string): string | null {
  const plain = /^\{*(?<held>[^{}]*)\}*$/u.exec(text)?.groups?.['held'] ?? text
  const parts = /^(?<sign>[+-]?)\s*(?<whole>[0-9][0-9, ]*?)(?:\.0*)?$/u.exec(plain.trim())?.groups
  const whole = parts?.['whole'] ?? ''
  if (parts === undefined || !(/^[0-9]+$/u.test(whole) || grouped.test(whole))) return null
  const digits = whole.replaceAll(/[, ]/gu, '').replace(/^0+(?=[0-9])/u, '')
  return parts['sign'] === '-' && digits !== '0' ? `-${digits}` : digits
}
