/** IFEval checkers of words: keywords that must or must not occur, the number of words, and commas. */
import { z } from 'zod'
import { type Checker, checker, compare, relation } from './checker.ts'
import { countMatches, found, pythonPattern, strip } from './python.ts'

const words = pythonPattern(String.raw`\w+`)

/** Each keyword is an unescaped pattern, found anywhere, letter case ignored: `lamp` is in `Lamps`. */
const existence = checker({ keywords: z.array(z.string()).min(1) }, ({ keywords }) => {
  const patterns = keywords.map((keyword) => pythonPattern(keyword, { ignoreCase: true }))
  return (response) => patterns.every((pattern) => found(pattern, response))
})

/** Non-overlapping matches of the stripped keyword against the bound. */
const frequency = checker(
  { keyword: z.string(), frequency: z.int(), relation },
  ({ keyword, frequency: bound, relation: how }) => {
    const pattern = pythonPattern(strip(keyword), { ignoreCase: true })
    return (response) => compare(countMatches(pattern, response), how, bound)
  },
)

/** No forbidden word as a whole word: `can` is forbidden, `cannot` is not. */
const forbiddenWords = checker({ forbidden_words: z.array(z.string()).min(1) }, (args) => {
  const patterns = args.forbidden_words.map((word) =>
    pythonPattern(String.raw`\b${word}\b`, { ignoreCase: true }),
  )
  return (response) => !patterns.some((pattern) => found(pattern, response))
})

/** Words are runs of letters, digits and underscores: "don't" has two. */
const numberWords = checker({ num_words: z.int(), relation }, ({ num_words: bound, relation: how }) => {
  return (response) => compare(countMatches(words, response), how, bound)
})

/** No U+002C anywhere. */
const noComma = checker({}, () => (response) => !response.includes(','))

export const wordCheckers: Readonly<Record<string, Checker>> = {
  'keywords:existence': existence,
  'keywords:frequency': frequency,
  'keywords:forbidden_words': forbiddenWords,
  'length_constraints:number_words': numberWords,
  'punctuation:no_comma': noComma,
}
