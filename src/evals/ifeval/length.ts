/** IFEval checkers of length: words, sentences and paragraphs. */
import { z } from 'zod'
import { bound, type Checker, checker, compare, relation } from './checker.ts'
import { word } from './nltk/classes.ts'
import { sentences } from './nltk/sentences.ts'
import { countMatches, pythonPattern } from './pattern.ts'
import { splitSpace, strip } from './python.ts'

const words = new RegExp(`[${word}]+`, 'gu')
const divider = pythonPattern(String.raw`\s?\*\*\*\s?`)

/** Words are runs of letters, digits and underscores: "don't" has two. */
const numberWords = checker({ num_words: bound, relation }, ({ num_words: wanted, relation: how }) => {
  return (response) => compare(countMatches(words, response), how, wanted)
})

/** Sentences as NLTK's Punkt splits English. */
const numberSentences = checker({ num_sentences: bound, relation }, (args) => {
  return (response) => compare(sentences(response).length, args.relation, args.num_sentences)
})

/** Exactly so many paragraphs between `***`; one may be blank at either end, none in the middle. */
const numberParagraphs = checker({ num_paragraphs: bound }, ({ num_paragraphs: wanted }) => {
  return (response) => {
    const parts = response.split(divider)
    if (parts.slice(1, -1).some(isBlank)) return false
    return parts.filter((part) => !isBlank(part)).length === wanted
  }
})

/**
 * Exactly so many paragraphs between empty lines, and the nth begins with the word, letter case and quotation marks
 * ignored. Blank paragraphs do not count, but the nth is the nth with them: a quirk of the reference.
 */
const nthParagraphFirstWord = checker(
  { num_paragraphs: bound, nth_paragraph: z.int().min(1), first_word: z.string() },
  ({ num_paragraphs: wanted, nth_paragraph: nth, first_word: expected }) => {
    return (response) => {
      const parts = response.split('\n\n')
      const filled = parts.filter((part) => !isBlank(part)).length
      const paragraph = parts[nth - 1] ?? ''
      if (nth > filled || isBlank(paragraph)) return false
      return filled === wanted && firstWord(paragraph) === expected.toLowerCase()
    }
  },
)

function isBlank(text: string): boolean {
  return strip(text) === ''
}

function firstWord(paragraph: string): string {
  const [word = ''] = splitSpace(paragraph)
  const bare = word.replace(/^'+/u, '').replace(/^"+/u, '')
  // Letter by letter: a final sigma stays one in the middle of a word.
  const [start = ''] = bare.split(/[.,?!'"]/u)
  return Array.from(start, (letter) => letter.toLowerCase()).join('')
}

export const lengthCheckers: Readonly<Record<string, Checker>> = {
  'length_constraints:number_words': numberWords,
  'length_constraints:number_sentences': numberSentences,
  'length_constraints:number_paragraphs': numberParagraphs,
  'length_constraints:nth_paragraph_first_word': nthParagraphFirstWord,
}
