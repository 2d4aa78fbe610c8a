/** `like` at the top of a file: it takes over everything of other experiment files, the later ones first, and says only what differs. */
import { dirname, join, resolve } from 'node:path'
import { whereOf } from './explain.ts'
import { isBlock } from './inherit.ts'
import { SpecError } from './problem.ts'
import { readSpecText } from './read-text.ts'
import { type Located, parseYaml, type Places } from './yaml.ts'

/** Texts of the files that a file is like, by absolute path: the nearest first. */
export type LikeTexts = Readonly<Record<string, string>>

export interface LikeResult {
  readonly located: Located
  readonly texts: LikeTexts
}

const longestChain = 8

/**
 * The document with what it is like below it; places name the file that each value was written in. `known` has texts that are
 * not read again: a recorded run stays what it was, whatever became of the files.
 */
export async function applyLikeFiles(own: Located, file: string, known: LikeTexts = {}): Promise<LikeResult> {
  return await followLike(own, file, known, [resolve(file)])
}

async function followLike(
  own: Located,
  file: string,
  known: LikeTexts,
  chain: readonly string[],
): Promise<LikeResult> {
  if (!isBlock(own.value) || own.value['like'] === undefined) return { located: own, texts: {} }
  const { like, ...value } = own.value
  const names: unknown[] = Array.isArray(like) ? like : [like]
  let merged: unknown = {}
  const places: Places = new Map()
  const texts: Record<string, string> = {}
  for (const [i, name] of names.entries()) {
    const stop = (message: string, hint?: string): never => {
      throw new SpecError([
        { where: whereOf(own, Array.isArray(like) ? ['like', i] : ['like']), message, hint },
      ])
    }
    if (typeof name !== 'string' || name === '')
      return stop('`like` at the top names another experiment file', 'like: ../70b-adam-distilled.yaml')
    const path = join(dirname(file), name)
    const absolute = resolve(path)
    if (chain.includes(absolute))
      stop(`\`like\` goes round in a circle: ${[...chain, absolute].join(' -> ')}`)
    if (chain.length > longestChain) stop(`more than ${longestChain} files are like each other`)
    const text =
      known[absolute] ??
      (await readSpecText(path).catch((error: unknown) => stop(...unreadable(error, path))))
    const parsed = parseYaml(text, path)
    if (!isBlock(parsed.value)) stop(`${path} holds no experiment`)
    const below = await followLike(parsed, path, known, [...chain, absolute])
    merged = over(merged, below.located.value)
    for (const [key, place] of below.located.places) places.set(key, place)
    Object.assign(texts, { [absolute]: text }, below.texts)
  }
  for (const [key, place] of own.places) if (!key.startsWith('["like"')) places.set(key, place)
  return { located: { value: over(merged, value), places }, texts }
}

/** A file that cannot be read has no line to show: the one that names it is shown. Throws what has a place. */
function unreadable(error: unknown, path: string): [message: string, hint: string | undefined] {
  if (!(error instanceof SpecError) || error.at === undefined) throw error
  if ('row' in error.at || error.at.line > 1 || error.at.col > 1) throw error
  return [`${path}: ${error.message}`, error.hint]
}

/** Blocks are merged key by key, everything else is replaced; null takes away what the other file has there. */
function over(under: unknown, own: unknown): unknown {
  if (!isBlock(under) || !isBlock(own)) return own
  const merged: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(own)) {
    if (value === null && Object.hasOwn(under, key) && under[key] !== null) delete merged[key]
    else merged[key] = over(under[key], value)
  }
  return merged
}
