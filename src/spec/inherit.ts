/** `like`: an entry takes over everything of another one of its kind and says only what differs; so do sections of `placement`. */
import { didYouMean, type Path, type Problem, showPath, SpecError } from './problem.ts'
import { whereOf } from './explain.ts'
import { placedSections } from './placement-schema.ts'
import { type Located, placeKey, type Places } from './yaml.ts'

type Entry = Readonly<Record<string, unknown>>

const kinds = ['bases', 'organisms', 'techniques'] as const

export const isBlock = (value: unknown): value is Entry =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The document with every `like` carried out, and every section of `placement` whole. Throws SpecError for unknown names and circles. */
export function applyLike(located: Located): Located {
  if (!isBlock(located.value)) return located
  const places: Places = new Map(located.places)
  const inherited = new Set<string>()
  const problems: Problem[] = []
  const merged = { ...located.value }
  for (const kind of kinds) {
    const entries = merged[kind]
    if (isBlock(entries)) merged[kind] = applyKind(kind, entries, located, { places, inherited, problems })
  }
  if (isBlock(merged['placement'])) {
    merged['placement'] = applySections(merged['placement'], { places, inherited, problems })
  }
  if (problems.length > 0) throw new SpecError(problems)
  return { value: merged, places, inherited }
}

/** What `like` adds to: places of inherited values, which they are, and what went wrong. */
interface Inheritance {
  readonly places: Places
  readonly inherited: Set<string>
  readonly problems: Problem[]
}

function applyKind(kind: string, entries: Entry, located: Located, into: Inheritance): Entry {
  const done = new Map<string, unknown>()
  const resolve = (name: string, below: readonly string[]): unknown => {
    if (done.has(name)) return done.get(name)
    const entry = entries[name]
    const parent = isBlock(entry) ? entry['like'] : undefined
    if (!isBlock(entry) || typeof parent !== 'string') return entry
    const problem = likeProblem(kind, name, parent, entries, below)
    if (problem !== null) {
      into.problems.push({ where: whereOf(located, [kind, name, 'like']), ...problem })
      return entry
    }
    const model = resolve(parent, [...below, name])
    inheritPlaces(into, [kind, parent], [kind, name])
    const { like: _, ...own } = entry
    const result = isBlock(model) ? withoutNulls(overlay(model, own)) : own
    done.set(name, result)
    return result
  }
  return Object.fromEntries(Object.keys(entries).map((name) => [name, resolve(name, [])]))
}

/** A section of `placement` is like its common keys; a null that is left says as much as no section. */
function applySections(placement: Entry, into: Inheritance): Entry {
  const common = Object.fromEntries(
    Object.entries(placement).filter(([key]) => key === 'torch' || key === 'slurm'),
  )
  const result: Record<string, unknown> = { ...placement }
  for (const section of placedSections) {
    const own = placement[section]
    if (own === null) delete result[section]
    if (!isBlock(own)) continue
    for (const key of Object.keys(common))
      inheritPlaces(into, ['placement', key], ['placement', section, key])
    result[section] = withoutNulls(overlay(common, own))
  }
  return result
}

function likeProblem(
  kind: string,
  name: string,
  parent: string,
  entries: Entry,
  below: readonly string[],
): { message: string; hint?: string | undefined } | null {
  if (!Object.hasOwn(entries, parent)) {
    const others = Object.keys(entries).filter((other) => other !== name)
    return {
      message: `${showPath([kind, name])} is like \`${parent}\`, which is not one of the ${kind}`,
      hint: didYouMean(parent, others) ?? `${kind}: ${others.join(', ')}`,
    }
  }
  if (parent !== name && !below.includes(parent)) return null
  const circle = [...below.slice(Math.max(0, below.indexOf(parent))), name, parent]
  return {
    message: `\`like\` goes round in a circle: ${circle.join(' -> ')}`,
    hint: 'one of them must say everything itself',
  }
}

/** Blocks are merged key by key, everything else is replaced; null takes an inherited key away (see withoutNulls). */
export function overlay(under: Entry, over: Entry): Entry {
  const result: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = under[key]
    result[key] = isBlock(below) && isBlock(value) ? overlay(below, value) : value
  }
  return result
}

function withoutNulls(entry: Entry): Entry {
  return Object.fromEntries(
    Object.entries(entry)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, isBlock(value) ? withoutNulls(value) : value]),
  )
}

/** An inherited value is found where it was written. */
function inheritPlaces({ places, inherited }: Inheritance, from: Path, to: Path): void {
  const prefix = `${placeKey(from).slice(0, -1)},`
  for (const [key, place] of [...places].filter(([key]) => key.startsWith(prefix))) {
    const own = `${placeKey(to).slice(0, -1)},${key.slice(prefix.length)}`
    if (places.has(own)) continue
    places.set(own, place)
    inherited.add(own)
  }
}

/** Dotted paths of the values that a block itself says, e.g. `train.steps`. */
export function leafPaths(block: unknown, prefix = ''): string[] {
  if (!isBlock(block)) return prefix === '' ? [] : [prefix]
  return Object.entries(block).flatMap(([key, value]) =>
    leafPaths(value, prefix === '' ? key : `${prefix}.${key}`),
  )
}
