/** IFEval checkers of keywords and characters that must or must not occur. */
import { z } from 'zod'
import { bound, type Checker, checker, compare, relation } from './checker.ts'
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
  const patterns = args.forbidden_words.map((word) =>
    pythonPattern(String.raw`\b${word}\b`, { ignoreCase: true }),
  )
  return (response) => !patterns.some((pattern) => found(pattern, response))
})

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
