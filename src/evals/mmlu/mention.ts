/** A letter that stands alone in a written answer, and what the words around make of it: an article, a shout, a denial, one of several. */
import { type Letter, letterNamed } from './letters.ts'

export interface Mention {
  readonly letter: Letter
  /** Written in lower case: an answer only behind words that announce one, since `a` is a word and `c` a variable. */
  readonly small: boolean
  /** 200 characters at most. */
  readonly before: string
  readonly after: string
}

/** Scripts that set no spaces between words end a word of Latin letters: `答案是B`. */
const inWord = String.raw`(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])\p{L}`
const alone = new RegExp(String.raw`(?<!${inWord}|[\p{N}_'’])[A-Da-d](?!${inWord}|[\p{N}_'’+#])`, 'gu')
/** What people put in front of a letter, and behind it. */
export const opening = String.raw`["'“‘*_({[$\x60]*`
export const closing = String.raw`["'”’*_)}\]$\x60]*`

export function mentionsIn(text: string): Mention[] {
  return [...text.matchAll(alone)].flatMap((match) => {
    const letter = letterNamed(match[0])
    // What a sign needs of the text around; the cut keeps long responses linear.
    const before = text.slice(Math.max(0, match.index - 200), match.index)
    const after = text.slice(match.index + 1, match.index + 201)
    return letter === null ? [] : [{ letter, small: match[0] !== letter, before, after }]
  })
}

/** Punctuation, an end, or a word that no article stands before. */
const closed = new RegExp(
  String.raw`^(?:${closing}(?:\s*$|\s*[.,:;!?)–—<\n]|\s+(?:because|since|as|is|be|and|for)\b)|["'”’*_)}\]$\x60])`,
  'u',
)
/** Without the words: `a as in …`, `a for loop`. */
const closedSmall = new RegExp(
  String.raw`^(?:${closing}(?:\s*$|\s*[.,:;!?)<\n]|\s+(?:because|since)\b)|["'”’*_)}\]$\x60])`,
  'u',
)

export function isClosed({ after }: Mention): boolean {
  return closed.test(after)
}

/** `A` before a word that may be a noun, and `a` before any. */
export function isArticle({ letter, small, after }: Mention): boolean {
  return letter === 'A' && !(small ? closedSmall : closed).test(after)
}

/** Whether the sentence around has another word and no small letter. */
export function isShouted({ before, after }: Mention): boolean {
  const around = `${before.split(/[.!?\n]/u).at(-1) ?? ''} ${after.split(/[.!?\n]/u)[0] ?? ''}`
  return /\p{Lu}{2}/u.test(around) && !/\p{Ll}/u.test(around)
}

const nextLetter = String.raw`\s*["'“‘*_({[$\x60]*(?:option\s+)?[A-D](?![\p{L}\p{N}_'’])`
const orAnother = new RegExp(
  String.raw`^${closing}\s*(?:\?|(?:or\b|\/|[或、])${nextLetter}|(?:,${nextLetter})+${closing}\.?\s*(?:\n|$))`,
  'u',
)
const another = new RegExp(String.raw`^${closing}\s*(?:\b(?:and|or)\b|[&/])${nextLetter}`, 'u')

/** `B or C`, `B, C` and no more, `B?`: it is left open which. */
export function isLeftOpen({ after }: Mention): boolean {
  return orAnother.test(after)
}

/** `B and C`, `B or C`. */
export function isOneOfSeveral({ after }: Mention): boolean {
  return another.test(after)
}

const not = String.raw`(?:(?:do|does|did|is|was|are|were|ca|could|wo|would|should|must)n['’]?t|not|cannot|never|neither|nor|hardly|I\s+doubt)`
const denialBefore = new RegExp(
  String.raw`\b(?:${not}|(?:rather|other)\s+than|instead\s+of|unlike|except|rul(?:e[sd]?|ing)\s+out|(?:eliminat|exclud|reject|discard|dismiss)(?:e|es|s|ed|ing)?)\b`,
  'iu',
)
const list = String.raw`(?:\s*(?:,|and|or|&)${nextLetter}${closing})*`
const denialAfter = new RegExp(
  String.raw`^${closing}${list}\s+(?:${not}\b|(?:is|are|was|were|seems?|looks?|must|can|could|would|should|do|does)\s+(?:be\s+)?(?:\w+ly\s+|also\s+|just\s+|both\s+)?(?:${not}|wrong|incorrect|false|out|ruled\s+out|eliminated|excluded|unlikely|impossible)\b)`,
  'iu',
)

/** `I don't think B is right`, `B is wrong`: of the clause around, which ends at a comma and at `but`. */
export function isDenied({ before, after }: Mention): boolean {
  const clause =
    before.split(/[.,:;!?\n–—]|\b(?:but|so|then|thus|hence|therefore|because|since)\b/iu).at(-1) ?? ''
  return denialBefore.test(clause) || denialAfter.test(after)
}
