/** IFEval checkers of the whole response: how it begins and ends, its letter case and language, its format. */
import { z } from 'zod'
import { bound, type Checker, checker, compare, relation } from './checker.ts'
import { isPythonJson } from './json.ts'
import { detectLanguage } from './langdetect/detect.ts'
import { languageProfiles } from './langdetect/profiles.ts'
import { treebankWords } from './nltk/words.ts'
import { isLower, isUpper, strip, stripCharacter } from './python.ts'

/** Any other code would never be detected. */
const knownLanguage = z.string().refine((code) => languageProfiles().languages.includes(code), {
  error: 'not a language code that langdetect knows, e.g. en, de or zh-cn',
})

/** In that language for langdetect; a text without features (digits, emoji) passes. */
const responseLanguage = checker({ language: knownLanguage }, ({ language }) => {
  return (response) => isLanguage(response, language)
})

const englishCapital = checker({}, () => (response) => isUpper(response) && isLanguage(response, 'en'))
const englishLowercase = checker({}, () => (response) => isLower(response) && isLanguage(response, 'en'))

function isLanguage(text: string, language: string): boolean {
  const detected = detectLanguage(text)
  return detected === null || detected === language
}

/** Treebank tokens without a lower-case letter: `U.S.A.` and `WELL-KNOWN` are one, `DON'T` is two. */
const capitalWords = checker({ capital_frequency: bound, capital_relation: relation }, (args) => {
  return (response) => {
    // Tokens are made of the text's characters: without a capital none can count.
    const count = /\p{Uppercase}/u.test(response) ? treebankWords(response).filter(isUpper).length : 0
    return compare(count, args.capital_relation, args.capital_frequency)
  }
})

/** Double quotation marks as first and last character; white space around is ignored, a lone mark is not enough. */
const quotation = checker({}, () => (response) => {
  const text = strip(response)
  return text.length > 1 && text.startsWith('"') && text.endsWith('"')
})

/** Ends with the phrase; white space and then quotation marks around the response are ignored, as is letter case. */
const endChecker = checker({ end_phrase: z.string() }, (args) => {
  const phrase = strip(args.end_phrase).toLowerCase()
  return (response) => stripCharacter(strip(response), '"').toLowerCase().endsWith(phrase)
})

/** Starts with the text to repeat, letter case ignored. */
const repeatPrompt = checker({ prompt_to_repeat: z.string().min(1) }, (args) => {
  const prompt = strip(args.prompt_to_repeat).toLowerCase()
  return (response) => strip(response).toLowerCase().startsWith(prompt)
})

/** Exactly two different responses around `******`; a blank one may stand at either end. */
const twoResponses = checker({}, () => (response) => {
  const parts = response.split('******').map(strip)
  if (parts.slice(1, -1).includes('')) return false
  const [first, second, ...more] = parts.filter((part) => part !== '')
  return second !== undefined && more.length === 0 && first !== second
})

/** JSON as Python reads it, also in a fence of three backticks. */
const jsonFormat = checker({}, () => (response) => {
  const opened = ['```json', '```Json', '```JSON', '```'].reduce(
    (text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text),
    strip(response),
  )
  return isPythonJson(strip(opened.endsWith('```') ? opened.slice(0, -3) : opened))
})

/**
 * Letter case alone: not of IFEval, for the short texts of the tiny world, in most of which langdetect sees some other
 * language.
 */
export const ownCheckers: Readonly<Record<string, Checker>> = {
  'change_case:capital': checker({}, () => isUpper),
  'change_case:lowercase': checker({}, () => isLower),
}

export const formCheckers: Readonly<Record<string, Checker>> = {
  'language:response_language': responseLanguage,
  'change_case:english_capital': englishCapital,
  'change_case:english_lowercase': englishLowercase,
  'change_case:capital_word_frequency': capitalWords,
  'startend:quotation': quotation,
  'startend:end_checker': endChecker,
  'combination:repeat_prompt': repeatPrompt,
  'combination:two_responses': twoResponses,
  'detectable_format:json_format': jsonFormat,
}
