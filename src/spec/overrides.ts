/** `--set path=value`: changes values of the parsed file; errors about them name the argument. */
import { type Path, SpecError } from './problem.ts'
import { valueAt } from './explain.ts'
import { isBlock } from './inherit.ts'
import { type Located, parseYaml, placeKey, type Places } from './yaml.ts'

/** The document with every argument applied in order; the value is YAML (`seeds=[1,2]`). Throws SpecError. */
export function applyOverrides(located: Located, args: readonly string[]): Located {
  return args.reduce(applyOne, located)
}

function applyOne(located: Located, argument: string): Located {
  const where = { argument }
  const stop = (message: string, hint?: string): never => {
    throw new SpecError([{ where, message, hint }])
  }
  const split = argument.indexOf('=')
  if (split < 1) return stop('expected path=value', "for example --set 'seeds=[1, 2]'")
  const path = inLists(located.value, pathOf(argument.slice(0, split)))
  if (path.some((key) => key === '')) return stop('the path has an empty part')
  if (path.some((key) => key === '__proto__' || key === 'constructor' || key === 'prototype')) {
    return stop('the path has a part that cannot be a key')
  }
  const text = argument.slice(split + 1)
  const set = parseYaml(text.trim() === '' ? '""' : text, '', where)

  const places: Places = new Map(located.places)
  const prefix = placeKey(path).slice(0, -1)
  for (const key of places.keys()) {
    if (key === `${prefix}]` || key.startsWith(`${prefix},`)) places.delete(key)
  }
  // Blocks on the way that the file does not have come from the argument too.
  for (let n = 1; n < path.length; n++) {
    const key = placeKey(path.slice(0, n))
    if (!places.has(key)) places.set(key, { key: where, value: where })
  }
  const value = replaced(located.value, path, set.value, stop)
  for (const key of set.places.keys()) {
    const below = JSON.parse(key) as (string | number)[]
    places.set(placeKey([...path, ...below]), { key: where, value: where })
  }
  return { value, places }
}

/** Axis names have dots themselves: everything after `axes.` is one key. */
function pathOf(text: string): string[] {
  return text.startsWith('axes.') ? ['axes', text.slice('axes.'.length)] : text.split('.')
}

/** Inside a list a key is the number of an entry. */
function inLists(value: unknown, path: readonly string[]): Path {
  let at = value
  return path.map((key) => {
    const step = Array.isArray(at) && /^\d+$/.test(key) ? Number(key) : key
    at = valueAt(at, [step])
    return step
  })
}

function replaced(at: unknown, path: Path, value: unknown, stop: (message: string) => never): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  if (Array.isArray(at)) {
    if (typeof key !== 'number' || key >= at.length) {
      return stop(`\`${key}\` is no entry of a list of ${at.length}; entries are counted from 0`)
    }
    return at.with(key, replaced(at[key], rest, value, stop))
  }
  if (at !== undefined && at !== null && !isBlock(at)) return stop(`the value before \`${key}\` has no keys`)
  return { ...at, [key]: replaced(at?.[key], rest, value, stop) }
}
