/** Reads the JSON files of a model folder with errors that name the file and the key. */
import { readFile, stat } from 'node:fs/promises'
import type { z } from 'zod'
import { LabError, messageOf } from '../errors.ts'

/** What a failed file access means to the user, as BAD_MODEL. */
export function fileProblem(file: string, error: unknown): LabError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return new LabError('BAD_MODEL', `${file}: no such file`, { cause: error })
  if (code === 'ENOTDIR')
    return new LabError('BAD_MODEL', `${file}: no such file, a parent is not a folder`, { cause: error })
  if (code === 'EISDIR')
    return new LabError('BAD_MODEL', `${file}: is a folder, a file was expected`, { cause: error })
  if (code === 'ELOOP') return new LabError('BAD_MODEL', `${file}: is a link to itself`, { cause: error })
  return new LabError('BAD_MODEL', `${file}: cannot be read (${messageOf(error)})`, { cause: error })
}

/** Largest configuration file that is read; real ones have up to 2 MB. */
const largestText = 4 * 2 ** 20

/** Throws BAD_MODEL if something is not a regular file (to open a pipe would wait for its writer), or larger than `maxBytes`. */
export async function checkFile(file: string, maxBytes = Infinity): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw fileProblem(file, error)
  })
  if (found.isDirectory()) throw new LabError('BAD_MODEL', `${file}: is a folder, a file was expected`)
  if (!found.isFile()) throw new LabError('BAD_MODEL', `${file}: is not a file`)
  if (found.size > maxBytes)
    throw new LabError('BAD_MODEL', `${file}: has ${found.size} bytes, at most ${maxBytes} are read`)
}

/** The text of a file of at most `maxBytes`. Throws BAD_MODEL. */
export async function readText(file: string, maxBytes = largestText): Promise<string> {
  await checkFile(file, maxBytes)
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw fileProblem(file, error)
  })
}

/** The text of a file, or null if there is none. Throws BAD_MODEL for any other failure. */
export async function readTextIfPresent(file: string): Promise<string | null> {
  try {
    return await readText(file)
  } catch (error) {
    const cause = error instanceof LabError ? error.cause : undefined
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw error
  }
}

/** What others say is wrong, as one line that is not long: a parser may quote the whole text. */
export function firstLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200)
}

/** Deeper than any file of a model; a parsed bracket takes 130 bytes, so that a short text could fill much memory. */
const deepestJson = 50

/** As `JSON.parse`, but brackets must not nest without end. Throws SyntaxError. */
export function parseShallowJson(text: string): unknown {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      // A backslash takes the next character with it.
      if (code === 0x5c) i++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) {
      depth++
      if (depth > deepestJson) throw new SyntaxError(`brackets nest more than ${deepestJson} deep`)
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return JSON.parse(text)
}

/** Parses JSON text and checks it against a schema. Throws BAD_MODEL naming the file and the first wrong key. */
export function parseJson<T>(file: string, text: string, schema: z.ZodType<T>): T {
  let json: unknown
  try {
    json = parseShallowJson(text)
  } catch (error) {
    throw new LabError('BAD_MODEL', `${file}: is not JSON (${firstLine(messageOf(error))})`, { cause: error })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const key = issue?.path.map(String).join('.') ?? ''
  throw new LabError(
    'BAD_MODEL',
    `${file}: ${key === '' ? '' : `"${key}": `}${issue?.message ?? 'is malformed'}`,
  )
}

/** Reads and checks one JSON file. Throws BAD_MODEL. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  return parseJson(file, await readText(file), schema)
}
