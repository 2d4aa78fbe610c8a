/** Words of English text as `nltk.word_tokenize` cuts them: Punkt's sentences, then the rules of the Penn Treebank. */
import { pythonPattern } from '../pattern.ts'
import { splitSpace } from '../python.ts'
import { space, word } from './classes.ts'
import { sentences } from './sentences.ts'

const wordEnd = `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`

/** In order: opening quotes, punctuation, brackets, dashes. */
const before: readonly (readonly [RegExp, string])[] = [
  [/([«“‘„]|`+)/gu, ' $1 '],
  [/^"/gu, '``'],
  [/(``)/gu, ' $1 '],
  [/([ ([{<])("|'{2})/gu, '$1 `` '],
  [new RegExp(`(?<![${word}])(')(?!(?:re|ve|ll|m|t|s|d|n)${wordEnd})(?=[${word}])`, 'giu'), '$1 '],
  [new RegExp(String.raw`([^.])(\.)(?=([\])\}>"'»”’ ]*))\3[${space}]*$`, 'gu'), '$1 $2 $3 '],
  [/([:,])(\P{Nd})/gu, ' $1 $2'],
  [/([:,])(?=\n?$)/gu, ' $1 '],
  [/\.{2,}/gu, ' $& '],
  [/[;@#$%&]/gu, ' $& '],
  [/[\u2012-\u2015]/gu, ' $& '],
  [new RegExp(String.raw`([^.])(\.)([\])\}>"']*)[${space}]*$`, 'gu'), '$1 $2$3 '],
  [/[?!]/gu, ' $& '],
  [/([^'])' /gu, "$1 ' "],
  [/\*/gu, ' $& '],
  [/[\][(){}<>]/gu, ' $& '],
  [/--/gu, ' -- '],
]

/** With a space at each end of the text: closing quotes, and clitics as words of their own. */
const after: readonly (readonly [RegExp, string])[] = [
  [/([»”’])/gu, ' $1 '],
  [/''/gu, " '' "],
  [/"/gu, " '' "],
  [new RegExp(`[${space}]+`, 'gu'), ' '],
  [/([^' ])('[sS]|'[mM]|'[dD]|') /gu, '$1 $2 '],
  [/([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) /gu, '$1 $2 '],
]

/** MacIntyre's contractions. NLTK compiles these with Python's own `re`. */
const contractions: readonly RegExp[] = [
  String.raw`\b(can)(not)\b`,
  String.raw`\b(d)('ye)\b`,
  String.raw`\b(gim)(me)\b`,
  String.raw`\b(gon)(na)\b`,
  String.raw`\b(got)(ta)\b`,
  String.raw`\b(lem)(me)\b`,
  String.raw`\b(more)('n)\b`,
  String.raw`\b(wan)(na)(?=\s)`,
  String.raw` ('t)(is)\b`,
  String.raw` ('t)(was)\b`,
].map((source) => pythonPattern(source, { ignoreCase: true }))

/** The tokens: punctuation apart, `DON'T` as `DO` and `N'T`. */
export function treebankWords(text: string): string[] {
  return sentences(text).flatMap((sentence) => {
    let cut = replaceAll(sentence, before)
    cut = replaceAll(` ${cut} `, after)
    for (const pattern of contractions) cut = cut.replace(pattern, ' $1 $2 ')
    return splitSpace(cut)
  })
}

function replaceAll(text: string, rules: readonly (readonly [RegExp, string])[]): string {
  return rules.reduce((cut, [pattern, replacement]) => cut.replace(pattern, replacement), text)
}
