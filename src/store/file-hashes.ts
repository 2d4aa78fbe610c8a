/** sha256 of files outside the store, kept in it: a file of the same size, times and inode is not read again. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'

/** Smaller files are read each time. */
const LARGE = 1 << 20
/** A file may change again within one tick of its times: one that was changed so recently is not kept. */
const SETTLED_MS = 10_000

const entrySchema = z.strictObject({ identity: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })

/** Of the file's bytes, as `hashFile` gives it; `root` is the store's, where a hash that cannot be kept is left out. */
export async function knownHash(root: string, path: string): Promise<string> {
  const file = await open(path)
  try {
    const before = await file.stat({ bigint: true })
    const identity = identityOf(before)
    const real = await realpath(path)
    const entry = join(root, 'cache', 'hashes', `${createHash('sha256').update(real).digest('hex')}.json`)
    const isLarge = before.size >= LARGE
    const kept = isLarge ? await readEntry(entry) : null
    if (kept?.identity === identity) return kept.sha256

    const hash = createHash('sha256')
    const bytes = file.createReadStream({ highWaterMark: 1 << 20, autoClose: false })
    for await (const chunk of bytes) hash.update(chunk as Buffer)
    const sha256 = hash.digest('hex')
    const unchanged = identityOf(await file.stat({ bigint: true })) === identity
    const changedMs = Math.max(Number(before.mtimeMs), Number(before.ctimeMs))
    if (isLarge && unchanged && changedMs < Date.now() - SETTLED_MS)
      await writeEntry(root, entry, { identity, sha256 })
    return sha256
  } finally {
    await file.close()
  }
}

interface Identity {
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
}

const identityOf = ({ size, mtimeNs, ctimeNs, ino }: Identity): string =>
  [size, mtimeNs, ctimeNs, ino].join(' ')

async function readEntry(entry: string): Promise<z.infer<typeof entrySchema> | null> {
  try {
    return entrySchema.parse(JSON.parse(await readFile(entry, 'utf8')))
  } catch {
    return null // not there, or damaged: the file is read
  }
}

/** Whole or not at all. */
async function writeEntry(root: string, entry: string, content: z.infer<typeof entrySchema>): Promise<void> {
  const written = `${entry}.${process.pid}.${randomUUID()}`
  try {
    // Who only plans makes no store.
    await stat(root)
    await mkdir(dirname(entry), { recursive: true })
    await writeFile(written, JSON.stringify(content))
    await rename(written, entry)
  } catch {
    await rm(written, { force: true }).catch(() => {}) // a store that cannot be written: the file is read again next time
  }
}
