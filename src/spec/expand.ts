/** The grid of an experiment: organisms × techniques × axis values × seeds, each cell with everything it needs. */
import { type AxisRoot, axisPath, combinations, shortNames, shortNumber, withNumber } from './axes.ts'
import type { Cell, Experiment, ResolvedTechnique } from './experiment.ts'
import { isBlock, leafPaths, overlay } from './inherit.ts'
import { type BaseOf, basesOf, resolveBase, resolveOrganism, resolveTechnique } from './resolve.ts'
import type { TechniqueSpec } from './schema.ts'

type AxisValues = Readonly<Record<string, number>>

/** All cells in the order of the file. Cells that share the beginning of a chain hold equal objects there. */
export function expand(experiment: Experiment): Cell[] {
  const { spec } = experiment
  const short = shortNames(Object.keys(spec.axes))
  const grid = combinations(spec.axes)
  const idOf = (organism: string, technique: string, axes: AxisValues, seed: number): string => {
    const values = Object.entries(axes).map(([axis, value]) => `${short[axis]}=${shortNumber(value)}`)
    return [organism, technique, ...values, `seed=${seed}`].join('/')
  }

  const cellOf = (organismName: string, technique: string, axes: AxisValues, seed: number): Cell => {
    const organism = withAxes(entryOf(spec.organisms, organismName), axes, 'organism')
    const base = resolveBase(
      spec,
      organism.base,
      withAxes(entryOf(spec.bases, organism.base), axes, 'base'),
      seed,
    )
    const others = basesOf(spec, seed)
    const baseOf: BaseOf = (name) => (name === base.name ? base : others(name))
    const names = chainOf(spec.techniques, technique)
    const before = names.at(-2)
    return {
      id: idOf(organismName, technique, axes, seed),
      base,
      organism: resolveOrganism(spec, organismName, organism, { cellSeed: seed, baseOf }),
      chain: names.map((name, i) =>
        trainingOf(experiment, name, { organism: organismName, axes, follows: i > 0, baseOf }),
      ) as unknown as Cell['chain'],
      technique,
      after: before === undefined ? null : idOf(organismName, before, axes, seed),
      axes,
      seed,
    }
  }

  return Object.keys(spec.organisms).flatMap((organism) =>
    Object.keys(spec.techniques).flatMap((technique) =>
      grid.flatMap((axes) => spec.seeds.map((seed) => cellOf(organism, technique, axes, seed))),
    ),
  )
}

/** A technique and those that it comes after, first one first. */
export function chainOf(techniques: Readonly<Record<string, TechniqueSpec>>, name: string): string[] {
  const { after } = entryOf(techniques, name)
  return after === undefined ? [name] : [...chainOf(techniques, after), name]
}

/** Where in the grid a technique is applied. */
interface Place {
  readonly organism: string
  readonly axes: AxisValues
  /** After another training. */
  readonly follows: boolean
  readonly baseOf: BaseOf
}

/** One training of a chain: the technique, changed for the organism, with the values of the axes that reach it. */
function trainingOf(
  experiment: Experiment,
  name: string,
  { organism, axes, follows, baseOf }: Place,
): ResolvedTechnique {
  const { spec, own } = experiment
  const { for: changes, ...technique } = entryOf(spec.techniques, name)
  const change = changes !== undefined && Object.hasOwn(changes, organism) ? changes[organism] : undefined
  const changed = change === undefined ? technique : (overlay(technique, change) as TechniqueSpec)
  // A later training keeps what it sets itself; the first one takes every axis.
  const kept = follows ? new Set([...(own[name] ?? []), ...leafPaths(change)]) : new Set<string>()
  return resolveTechnique(spec, name, withAxes(changed, axes, 'technique', kept), baseOf)
}

function withAxes<T>(entry: T, axes: AxisValues, root: AxisRoot, kept: ReadonlySet<string> = new Set()): T {
  return Object.entries(axes).reduce((result, [axis, value]) => {
    const at = axisPath(axis)
    if (at.root !== root || kept.has(at.path.join('.'))) return result
    return withNumber(result, at.path, value) ?? result
  }, entry)
}

function entryOf<T>(entries: Readonly<Record<string, T>>, name: string): T {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined
  if (entry === undefined) throw new RangeError(`no entry ${name}`)
  return entry
}

/** By technique: what it sets itself, and what it is like where that one comes after another training too. */
export function ownSettings(raw: unknown): Record<string, string[]> {
  if (!isBlock(raw)) return {}
  const own = (name: string): string[] => {
    const entry = raw[name]
    if (!isBlock(entry)) return []
    const { like, for: _, ...said } = entry
    const inherited = typeof like === 'string' && follows(raw, like) ? own(like) : []
    return [...new Set([...inherited, ...leafPaths(said)])]
  }
  return Object.fromEntries(Object.keys(raw).map((name) => [name, own(name)]))
}

function follows(raw: Readonly<Record<string, unknown>>, name: string): boolean {
  const entry = raw[name]
  if (!isBlock(entry)) return false
  if ('after' in entry) return typeof entry['after'] === 'string'
  return typeof entry['like'] === 'string' && follows(raw, entry['like'])
}
