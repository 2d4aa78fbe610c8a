/** Downloads one file of a hub: goes on where it stopped, and keeps nothing whose checksum is wrong. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabError, messageOf } from '../../errors.ts'
import { codeOf, fileUrl, type HubFile, isDefinite, request, type RequestContext } from './client.ts'

/** Attempts in a row that bring not one byte. */
const fruitlessAttempts = 5
/** A connection that is silent for so long is given up, and asked for again. */
const silenceMs = 30_000

export interface DownloadContext extends RequestContext {
  /** Bytes that have come; negative where bytes that had come are thrown away. */
  readonly arrived: (bytes: number) => void
}

/**
 * Downloads into `target`, which appears only when it is whole and its checksum right; until then `target.part` grows, also
 * over interruptions of the program. Throws codeOf(repo).
 */
export async function downloadFile(file: HubFile, target: string, context: DownloadContext): Promise<void> {
  const part = `${target}.part`
  await mkdir(dirname(target), { recursive: true })
  let have = await sizeOf(part)
  if (have > file.size) {
    await rm(part)
    have = 0
  }
  context.arrived(have)
  for (let fruitless = 0; have < file.size;) {
    const before = have
    let problem: unknown = 'the connection ended early'
    try {
      await fetchRest(file, part, have, context)
    } catch (error) {
      if (context.signal.aborted || isDefinite(error)) throw error
      problem = error
    }
    have = await sizeOf(part)
    if (have >= file.size) break
    fruitless = have > before ? 0 : fruitless + 1
    if (fruitless >= fruitlessAttempts) throw gaveUp(file, have, problem, context)
    await sleep(context.settings.retryMs * 2 ** fruitless, undefined, { signal: context.signal })
  }
  if (file.size === 0) await (await open(part, 'w')).close()
  await checkHash(file, part, context)
  await rename(part, target)
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

/** Appends what the server sends from byte `from` on. */
async function fetchRest(file: HubFile, part: string, from: number, context: DownloadContext): Promise<void> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(new Error(`no byte for ${silenceMs / 1000} s`)), silenceMs)
  try {
    const response = await request(
      fileUrl(context, file.path),
      { ...context, signal: AbortSignal.any([context.signal, silence.signal]) },
      // A body that is compressed on the way cannot be continued.
      { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    )
    const continues = response.status === 206 && startOf(response) === from
    if (from > 0 && !continues) context.arrived(-from)
    await using handle = await open(part, continues ? 'a' : 'w')
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      await handle.writeFile(chunk)
      context.arrived(chunk.byteLength)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** First byte of a partial answer. */
function startOf(response: Response): number | null {
  const start = response.headers.get('content-range')?.match(/^bytes (\d+)-/)?.[1]
  return start === undefined ? null : Number(start)
}

function gaveUp(
  { path, size }: HubFile,
  have: number,
  problem: unknown,
  { repo }: DownloadContext,
): LabError {
  // A refusal of the hub says all there is to say.
  if (problem instanceof LabError && !/cannot be reached|status 5/.test(problem.message)) return problem
  return new LabError(
    codeOf(repo),
    `${path}: ${have} of ${size} bytes have come, and no more do (${messageOf(problem)})`,
    { hint: 'the same command goes on where it stopped', cause: problem },
  )
}

/** Throws codeOf(repo), and removes the file, if its content is not what the hub says it is. */
async function checkHash(file: HubFile, part: string, { arrived, repo }: DownloadContext): Promise<void> {
  const { sha256, gitSha1, size, path } = file
  const [algorithm, expected] = sha256 === null ? (['sha1', gitSha1] as const) : (['sha256', sha256] as const)
  const hash = createHash(algorithm)
  if (algorithm === 'sha1') hash.update(`blob ${size}\0`)
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  const found = hash.digest('hex')
  if (found === expected) return
  await rm(part)
  arrived(-size)
  throw new LabError(
    codeOf(repo),
    `${path}: what came is not what the hub says it is (${algorithm} ${found}, expected ${expected ?? 'none'}); it is removed`,
    { hint: 'the same command downloads it again' },
  )
}
