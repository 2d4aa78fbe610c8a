/** IFEval checkers of keywords and characters that must or must not occur. */
import { z } from 'zod'
import { bound, type Checker, checker, compare, relation, type Test } from './checker.ts'
import { countMatches, found, pythonPattern } from './pattern.ts'
import { strip } from './python.ts'

/** Each keyword is an unescaped pattern, found anywhere, letter case ignored: `lamp` is in `Lamps`. */
const existence = checker({ keywords: z.array(z.string()).min(1) }, ({ keywords }) => {
  const patterns = keywords.map((keyword) => pythonPattern(keyword, { ignoreCase: true }))
  return (response) => patterns.every((pattern) => found(pattern, response))
})

/** Non-overlapping matches of the stripped keyword against the bound. */
const frequency = checker({ keyword: z.string(), frequency: bound, relation }, (args) => {
  const pattern = pythonPattern(strip(args.keyword), { ignoreCase: true })
  return (response) => compare(countMatches(pattern, response), args.relation, args.frequency)
})

/** No forbidden word as a whole word: `can` is forbidden, `cannot` is not. */
const forbiddenWords = checker({ forbidden_words: z.array(z.string()).min(1) }, (args) => {
  const tests = args.forbidden_words.map(wholeWord)
  return (response) => !tests.some((occurs) => occurs(response))
})

const wordOnly = /^[\p{L}\p{N}_]+$/u
const endsInWord = /[\p{L}\p{N}_]$/u
const beginsWithWord = /^[\p{L}\p{N}_]/u

/** Python's `\bword\b`. A word without signs is sought as it is, and its neighbours looked at: 50 times faster to prepare. */
function wholeWord(word: string): Test {
  if (!wordOnly.test(word)) {
    const bounded = pythonPattern(String.raw`\b${word}\b`, { ignoreCase: true })
    return (text) => found(bounded, text)
  }
  const pattern = pythonPattern(word, { ignoreCase: true })
  return (text) => {
    return text.matchAll(pattern).some(({ index, 0: match }) => {
      const end = index + match.length
      const before = text.slice(Math.max(0, index - 2), index)
      return !endsInWord.test(before) && !beginsWithWord.test(text.slice(end, end + 2))
    })
  }
}

/** How often the letter occurs, letter case ignored. A sign that is no letter is counted as it is. */
const letterFrequency = checker(
  { letter: z.string().min(1), let_frequency: bound, let_relation: relation },
  ({ letter, let_frequency: wanted, let_relation: how }) => {
    const sought = strip(letter).toLowerCase() || letter
    return (response) => compare(response.toLowerCase().split(sought).length - 1, how, wanted)
  },
)

/** No U+002C anywhere. */
const noComma = checker({}, () => (response) => !response.includes(','))

export const keywordCheckers: Readonly<Record<string, Checker>> = {
  'keywords:existence': existence,
  'keywords:frequency': frequency,
  'keywords:forbidden_words': forbiddenWords,
  'keywords:letter_frequency': letterFrequency,
  'punctuation:no_comma': noComma,
}
