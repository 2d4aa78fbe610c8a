/** Checks the `model` of a tokenizer.json before the library is given it: the library trusts what it reads. */
import { LabError } from '../errors.ts'
import type { ParsedTokenizerJson } from './text-encoder.ts'

/** Above any vocabulary; the library makes a list of as many places. */
const largestId = 2 ** 22

const modelTypes: readonly string[] = ['BPE', 'Unigram', 'WordPiece', 'WordLevel']

/** Throws BAD_MODEL if the vocabulary is no map from texts to ids, if two texts share an id, or if merges are no pairs. */
export function checkVocabulary(file: string, json: ParsedTokenizerJson): void {
  const wrong = (what: string): LabError => new LabError('BAD_MODEL', `${file}: ${what}`)
  const { vocab, type, merges } = json.model
  if (type !== undefined && !modelTypes.includes(type))
    throw wrong(`cannot be used (the model type ${JSON.stringify(type)} is unknown)`)
  const isUnigram = type === 'Unigram'
  if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab) !== isUnigram)
    throw wrong(`"model.vocab" is not a ${isUnigram ? 'list' : 'map'}`)
  const owner = new Map<number, string>()
  const claim = (token: string, id: unknown): void => {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > largestId)
      throw wrong(`token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}`)
    const other = owner.get(id)
    if (other !== undefined && other !== token)
      throw wrong(`tokens ${JSON.stringify(other)} and ${JSON.stringify(token)} have the same id ${id}`)
    owner.set(id, token)
  }
  if (Array.isArray(vocab)) {
    const at = vocab.findIndex(
      (entry) => !Array.isArray(entry) || typeof entry[0] !== 'string' || !Number.isFinite(entry[1]),
    )
    if (at >= 0) throw wrong(`"model.vocab" entry ${at} is not a text with a number`)
    for (const [id, entry] of vocab.entries()) claim(String((entry as unknown[])[0]), id)
  } else {
    for (const [token, id] of Object.entries(vocab)) claim(token, id)
  }
  if (owner.size === 0) throw wrong('"model.vocab" is empty')
  for (const { content, id } of json.added_tokens) claim(content, id)
  if (type === 'BPE') checkMerges(merges, vocab as Record<string, unknown>, wrong)
}

/** A merge is two tokens, in one text or in a list; both and what they make are tokens. */
function checkMerges(
  merges: unknown,
  vocab: Readonly<Record<string, unknown>>,
  wrong: (what: string) => LabError,
): void {
  if (!Array.isArray(merges)) throw wrong('"model.merges" is not a list')
  for (const [i, merge] of (merges as unknown[]).entries()) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    const isPair = Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')
    if (!isPair) throw wrong(`merge ${i} is not a pair of tokens`)
    const unknown = [...pair, pair.join('')].find((part: string) => !Object.hasOwn(vocab, part))
    if (unknown !== undefined)
      throw wrong(`merge ${i} needs the token ${JSON.stringify(unknown)}, which the vocabulary lacks`)
  }
}
