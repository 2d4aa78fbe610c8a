/** IFEval checkers of what stands in the text: placeholders, postscripts, bullets, highlights, sections, titles, fixed answers. */
import { z } from 'zod'
import { bound, type Checker, checker } from './checker.ts'
import { found, pythonPattern } from './pattern.ts'
import { strip, stripCharacter } from './python.ts'
import { countBullets, countPlaceholders, titles } from './scan.ts'

const highlight = /\*[^\n*]*\*/gu
const doubleHighlight = /\*\*([^\n*]*)\*\*/gu
const fixedAnswers = ['My answer is yes.', 'My answer is no.', 'My answer is maybe.']

/** At least so many `[…]`, each on one line. */
const placeholders = checker({ num_placeholders: bound }, ({ num_placeholders: wanted }) => {
  return (response) => countPlaceholders(response) >= wanted
})

/** The marker anywhere, letter case ignored. `P.S.` and `P.P.S` may have spaces in them; another marker is a pattern. */
const postscript = checker({ postscript_marker: z.string() }, ({ postscript_marker: marker }) => {
  const pattern = pythonPattern(postscriptSource(strip(marker)), { multiline: true })
  return (response) => found(pattern, response.toLowerCase())
})

/** The reference's patterns, without the `\s*` and `.*$` around them wherever these match all the same. */
function postscriptSource(marker: string): string {
  if (marker === 'P.P.S') return String.raw`p\.\s?p\.\s?s`
  if (marker === 'P.S.') return String.raw`p\.\s?s\.`
  const plain = !/[\\()[\]{}*+?|^$]/u.test(marker)
  return plain ? marker.toLowerCase() : String.raw`\s*${marker.toLowerCase()}.*$`
}

/** Exactly so many lines that begin with `*` (not `**`) or `-`. */
const bulletLists = checker({ num_bullets: bound }, ({ num_bullets: wanted }) => {
  return (response) => countBullets(response, '*') + countBullets(response, '-') === wanted
})

/** At least so many `*…*` that are not blank inside, `**…**` counted once more. */
const highlights = checker({ num_highlights: bound }, ({ num_highlights: wanted }) => {
  return (response) => {
    const single = [...response.matchAll(highlight)].map(([text]) => stripCharacter(text, '*'))
    const double = [...response.matchAll(doubleHighlight)].map(([, inner = '']) => inner)
    return [...single, ...double].filter((text) => strip(text) !== '').length >= wanted
  }
})

/** At least so many `Section 1`; the word is a pattern, and each group in it counts once more, as in the reference. */
const sections = checker({ section_spliter: z.string(), num_sections: bound }, (args) => {
  const pattern = pythonPattern(String.raw`\s?${strip(args.section_spliter)}\s?\d+\s?`)
  return (response) => {
    const parts = [...response.matchAll(pattern)].reduce((sum, match) => sum + match.length, 0)
    return parts >= args.num_sections
  }
})

/** Some `<<…>>` on one line that is not blank inside. */
const hasTitle = checker({}, () => (response) => {
  return titles(response).some((text) => strip(stripCharacter(text, '<', '>')) !== '')
})

/** One of three sentences, to the letter, anywhere. */
const constrainedResponse = checker({}, () => (response) => {
  return fixedAnswers.some((answer) => response.includes(answer))
})

export const contentCheckers: Readonly<Record<string, Checker>> = {
  'detectable_content:number_placeholders': placeholders,
  'detectable_content:postscript': postscript,
  'detectable_format:number_bullet_lists': bulletLists,
  'detectable_format:number_highlighted_sections': highlights,
  'detectable_format:multiple_sections': sections,
  'detectable_format:title': hasTitle,
  'detectable_format:constrained_response': constrainedResponse,
}
