/** Reads an experiment file as UTF-8 text and says clearly what stands in the way. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf } from '../errors.ts'
import { didYouMean, nearest, SpecError } from './problem.ts'

const maxBytes = 256 * 1024

/** The text without a byte-order mark. Throws SpecError for a file that is missing, a folder, too large, binary or empty. */
export async function readSpecText(file: string): Promise<string> {
  const bytes = await readLimited(file)
  const text = decode(file, bytes)
  if (text.trim() === '') throw fail(file, 'the file is empty', 'examples/laptop.yaml is one to start from')
  return text
}

async function readLimited(file: string): Promise<Buffer> {
  try {
    const status = await stat(file)
    if (status.isDirectory()) {
      const inside = (await readdir(file)).filter((name) => /\.ya?ml$/.test(name)).sort()
      const hint = inside[0] === undefined ? undefined : `did you mean \`${join(file, inside[0])}\`?`
      throw fail(file, 'this is a folder, not an experiment file', hint)
    }
    if (!status.isFile()) throw fail(file, 'this is not a regular file')
    const tooLarge = `the file has more than ${maxBytes / 1024} KiB; an experiment file has a few`
    if (status.size > maxBytes)
      throw fail(file, tooLarge, 'data belongs in files of its own, named under `files:`')
    return await readFile(file)
  } catch (error) {
    if (error instanceof SpecError) throw error
    throw await explainReadError(file, error)
  }
}

async function explainReadError(file: string, error: unknown): Promise<SpecError> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES' || code === 'EPERM') return fail(file, 'no permission to read this file')
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return fail(file, `cannot read this file: ${messageOf(error)}`)
  const folder = dirname(file)
  const names = await readdir(folder).catch(() => null)
  if (names === null) return fail(file, 'no such file', `there is no folder ${folder}`)
  const near = nearest(basename(file), names)
  return fail(file, 'no such file', near === undefined ? undefined : didYouMean(file, [join(folder, near)]))
}

function decode(file: string, bytes: Buffer): string {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b)
    throw fail(file, 'this is gzip data, not text', 'decompress it first')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const lossy = new TextDecoder('utf-8').decode(bytes)
    throw failAt(file, lossy, lossy.indexOf('\uFFFD'), 'this is not UTF-8 text', 'save the file as UTF-8')
  }
  // YAML allows no control characters but tab, line feed and carriage return.
  // oxlint-disable-next-line no-control-regex
  const control = text.search(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/)
  if (control >= 0) {
    const code = text.charCodeAt(control).toString(16).toUpperCase().padStart(4, '0')
    throw failAt(file, text, control, `a control character (U+${code}): this is not a text file`)
  }
  return text
}

function failAt(file: string, text: string, offset: number, message: string, hint?: string): SpecError {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  const col = offset - before.lastIndexOf('\n')
  return new SpecError([{ where: { file, line, col }, message, hint }])
}

function fail(file: string, message: string, hint?: string): SpecError {
  return new SpecError([{ where: { file, line: 1, col: 1 }, message, hint }])
}
