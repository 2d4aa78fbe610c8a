/** IFEval checkers of form: letter case, bullets, title, quotation marks, the end, and a repeated prompt. */
import { z } from 'zod'
import { type Checker, checker } from './checker.ts'
import { countMatches, isLower, isUpper, pythonPattern, strip, stripCharacter } from './python.ts'

const starBullet = pythonPattern(String.raw`^\s*\*[^\*].*$`, { multiline: true })
const dashBullet = pythonPattern(String.raw`^\s*-.*$`, { multiline: true })
const title = /<<[^\n]+>>/gu

/**
 * Letter case only. The reference also asks langdetect whether the text is English; that is left out here, so text in
 * another language, correctly cased, passes.
 */
const englishCapital = checker({}, () => isUpper)
const englishLowercase = checker({}, () => isLower)

/** Exactly so many lines that begin with `*` (not `**`) or `-`. */
const bulletLists = checker({ num_bullets: z.int() }, ({ num_bullets: wanted }) => {
  return (response) => countMatches(starBullet, response) + countMatches(dashBullet, response) === wanted
})

/** Some `<<…>>` on one line that is not blank inside. */
const hasTitle = checker({}, () => (response) => {
  return [...response.matchAll(title)].some(
    ([found]) => strip(found.replace(/^<+/u, '').replace(/>+$/u, '')) !== '',
  )
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
const repeatPrompt = checker({ prompt_to_repeat: z.string() }, (args) => {
  const prompt = strip(args.prompt_to_repeat).toLowerCase()
  return (response) => strip(response).toLowerCase().startsWith(prompt)
})

export const formCheckers: Readonly<Record<string, Checker>> = {
  'change_case:english_capital': englishCapital,
  'change_case:english_lowercase': englishLowercase,
  'detectable_format:number_bullet_lists': bulletLists,
  'detectable_format:title': hasTitle,
  'startend:quotation': quotation,
  'startend:end_checker': endChecker,
  'combination:repeat_prompt': repeatPrompt,
}
