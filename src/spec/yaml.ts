/** YAML 1.2 to plain values with the position of every key and value; everything that surprises in YAML is refused. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Pair,
} from 'yaml'
import { type Path, type Problem, SpecError, type Where } from './problem.ts'
import { explainYamlError } from './yaml-errors.ts'

/** Where a key and its value stand, by path (as JSON). */
export type Places = Map<string, { readonly key: Where; readonly value: Where }>

/** A parsed document: plain objects, arrays and scalars, and where each of them came from. */
export interface Located {
  readonly value: unknown
  readonly places: Places
  /** Paths (as JSON) whose values were copied from another entry by `like`. */
  readonly inherited?: ReadonlySet<string>
  /** The same, where their problems are told after all. */
  readonly told?: ReadonlySet<string> | undefined
}

// The size of a text limits what is written out in it; only aliases can multiply that.
const maxAliased = 5_000
const maxDepth = 24
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype'])

export const placeKey = (path: Path): string => JSON.stringify(path)

/** Throws SpecError. `where` turns an offset of the text into a place, so that `--set` values name their argument. */
export function parseYaml(text: string, file: string, place?: Where): Located {
  const lines = new LineCounter()
  const where = (offset: number): Where => {
    if (place !== undefined) return place
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return { file, line: Math.max(1, line), col: Math.max(1, col) }
  }
  const document = compose(text, lines, where)
  const error = document.errors[0] ?? document.warnings[0]
  if (error !== undefined) {
    throw new SpecError([{ where: where(error.pos[0]), ...explainYamlError(error, text) }])
  }
  if (document.directives?.yaml.version === '1.1') {
    const hint = 'remove the %YAML line'
    throw new SpecError([{ where: where(0), message: 'experiment files are YAML 1.2, not 1.1', hint }])
  }
  return convert(document, where)
}

function compose(text: string, lineCounter: LineCounter, where: (offset: number) => Where): Document {
  try {
    // Duplicate keys are found in `convert`, which can name both places.
    return parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      version: '1.2',
      merge: false,
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new SpecError([
      { where: where(0), message: 'values are nested too deeply to be read', hint: undefined },
    ])
  }
}

const start = (node: Node | null | undefined, otherwise: number): number => node?.range?.[0] ?? otherwise

function convert(document: Document, where: (offset: number) => Where): Located {
  const places: Places = new Map()
  const problems: Problem[] = []
  const open = new Set<Node>() // the aliased nodes that we are inside of
  let aliasedValues = 0
  const stop = (offset: number, message: string, hint?: string): never => {
    throw new SpecError([{ where: where(offset), message, hint }])
  }

  const valueOf = (node: Node | null | undefined, path: Path, offset: number): unknown => {
    if (open.size > 0 && ++aliasedValues > maxAliased) {
      stop(offset, `aliases multiply this file into more than ${maxAliased} values`, useLike)
    }
    if (path.length > maxDepth) stop(offset, `values are nested more than ${maxDepth} deep`)
    if (isAlias(node)) return aliased(node, path)
    if (isMap(node)) return mapOf(node.items as Pair<Node, Node | null>[], path)
    if (isSeq(node))
      return (node.items as Node[]).map((item, i) => placed(item, [...path, i], start(item, offset)))
    const value: unknown = isScalar(node) ? node.value : null
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value
    problems.push({
      where: where(offset),
      message: `a value with the tag ${node?.tag?.replace('tag:yaml.org,2002:', '!!') ?? '!'} has no meaning here`,
    })
    return null
  }
  const placed = (node: Node | null | undefined, path: Path, offset: number, key?: number): unknown => {
    places.set(placeKey(path), { key: where(key ?? offset), value: where(offset) })
    return valueOf(node, path, offset)
  }
  const aliased = (node: Node, path: Path): unknown => {
    const target = isAlias(node) ? node.resolve(document) : undefined
    const offset = start(node, 0)
    if (target === undefined) return stop(offset, 'this alias refers to no anchor before it', useLike)
    if (open.has(target)) return stop(offset, 'this alias stands inside the value that it refers to', useLike)
    open.add(target)
    const value = valueOf(target, path, offset)
    open.delete(target)
    return value
  }
  const mapOf = (pairs: readonly Pair<Node, Node | null>[], path: Path): Record<string, unknown> => {
    const map: Record<string, unknown> = {}
    const first = new Map<string, Where>()
    for (const { key: keyNode, value } of pairs) {
      const offset = start(keyNode, 0)
      const key = keyOf(keyNode)
      const earlier = key === null ? undefined : first.get(key)
      const problem = key === null ? notAName : keyProblem(key, earlier)
      if (problem !== null) problems.push({ where: where(offset), ...problem })
      if (key === null || problem !== null) continue
      first.set(key, where(offset))
      map[key] = placed(value, [...path, key], start(value, offset), offset)
    }
    return map
  }

  const root = document.contents
  const offset = start(root, 0)
  const value = placed(root, [], offset)
  if (problems.length > 0) throw new SpecError(problems)
  return { value, places }
}

const useLike = 'to reuse an organism or a technique write `like: NAME`'
const notAName = {
  message: 'a key must be a plain word',
  hint: 'quote a text that contains colons or brackets',
}

function keyOf(node: Node): string | null {
  if (!isScalar(node)) return null
  const { value } = node
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null
}

function keyProblem(key: string, earlier: Where | undefined): { message: string; hint?: string } | null {
  if (key === '<<') return { message: 'merge keys (`<<`) are not read', hint: useLike }
  if (forbiddenKeys.has(key)) return { message: `\`${key}\` cannot be a key or a name` }
  if (earlier === undefined) return null
  const place = 'line' in earlier ? `first in line ${earlier.line}` : 'twice in one value'
  return { message: `the key \`${key}\` is given twice (${place})`, hint: 'keep one of the two' }
}
