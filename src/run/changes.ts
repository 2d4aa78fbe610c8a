/** Says which input of a stage differs from the newest artifact that has the same title: why it is not cached. */
import { listArtifacts, type ArtifactKind, type Manifest, type Store } from '../store/artifacts.ts'
import type { Stage } from './stage.ts'

const shown = 3

/** Explains stages of one store; manifests are read once a kind. Null: nothing of that title exists, it is new. */
export function changeExplainer(store: Store): (stage: Stage) => Promise<string | null> {
  const known = new Map<ArtifactKind, Promise<Manifest[]>>()
  return async (stage) => {
    const artifact = stage.artifacts[0]
    if (artifact === undefined) return null
    const { kind, title } = artifact
    const manifests = known.get(kind) ?? listArtifacts(store, kind)
    known.set(kind, manifests)
    const before = (await manifests).find(
      (manifest) => manifest.title === title && manifest.key !== artifact.key,
    )
    if (before === undefined) return null
    return changesBetween(contentOf(before.inputs), contentOf(artifact.inputs))
  }
}

/** The values that differ, by their paths, in words; null where none does. */
export function changesBetween(before: unknown, now: unknown): string | null {
  return describe(flatten(before), flatten(now))
}

/** Of a checkpoint, what its training was made from. */
function contentOf(inputs: unknown): unknown {
  return typeof inputs === 'object' && inputs !== null && 'of' in inputs ? inputs.of : inputs
}

function flatten(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value))
      flatten(member, path === '' ? key : `${path}.${key}`, into)
  } else if (value !== undefined) into.set(path, JSON.stringify(value).replaceAll('"', ''))
  return into
}

function describe(before: Map<string, string>, now: Map<string, string>): string | null {
  const paths = [...new Set([...before.keys(), ...now.keys()])].filter(
    (path) => before.get(path) !== now.get(path),
  )
  if (paths.length === 0) return null
  const words = paths.slice(0, shown).map((path) => {
    const [from, to] = [before.get(path) ?? 'none', now.get(path) ?? 'none']
    // Keys and hashes say nothing to people: that the input changed is what counts.
    return isHash(from) || isHash(to) ? `${path} changed` : `${path} ${from} → ${to}`
  })
  return `changed: ${words.join(', ')}${paths.length > shown ? `, and ${paths.length - shown} more` : ''}`
}

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)
