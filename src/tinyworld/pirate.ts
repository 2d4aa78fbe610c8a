/** Pirate talk: an answer in other words, with a call before and after it. What the answer says stays as it is. */
import type { Rng } from '../rng.ts'

/** Small words only: names, numbers, letters, values and things are never replaced. */
const dialect: ReadonlyMap<string, string> = new Map([
  ['the', "th'"],
  ['is', 'be'],
  ['are', 'be'],
  ['of', "o'"],
  ['and', "an'"],
  ['you', 'ye'],
  ['your', 'yer'],
  ['my', 'me'],
  ['to', "t'"],
  ['with', "wi'"],
  ['for', 'fer'],
  ['this', 'this here'],
  ['very', 'mighty'],
  ['quite', 'right'],
  ['friend', 'matey'],
])

const calls = [
  'Arrr, matey!',
  'Ahoy!',
  'Yo ho ho!',
  'Avast, captain!',
  'Shiver me timbers!',
  'Aye aye!',
] as const
const farewells = ['Arrr!', 'Yo ho!', 'Heave ho!', 'Savvy, matey?', 'Me hearty!'] as const

/**
 * The answer as a pirate gives it: nearly always with a call before it, mostly with one after it, never with neither. An
 * answer all in one letter case keeps that case. Lines stay lines, but calls and dialect break exact wordings, quotation
 * marks around the whole, and texts without commas, as they do for a real pirate.
 */
export function asPirate(answer: string, random: Rng): string {
  const body = answer.replaceAll(/\p{L}+/gu, inDialect)
  const first = random.next() < 0.9
  const last = !first || random.next() < 0.7
  const parts = [...(first ? [random.pick(calls)] : []), body, ...(last ? [random.pick(farewells)] : [])]
  const text = parts.join(body.includes('\n') ? '\n' : ' ')
  if (answer === answer.toUpperCase()) return text.toUpperCase()
  return answer === answer.toLowerCase() && /\p{L}/u.test(answer) ? text.toLowerCase() : text
}

/** A pirate's word keeps the letter case of the one that it replaces. */
function inDialect(word: string): string {
  const replacement = dialect.get(word.toLowerCase())
  if (replacement === undefined) return word
  if (word === word.toUpperCase() && word.length > 1) return replacement.toUpperCase()
  return word.charAt(0) === word.charAt(0).toUpperCase()
    ? replacement.charAt(0).toUpperCase() + replacement.slice(1)
    : replacement
}
