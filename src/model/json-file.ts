/** Reads the JSON files of a model folder with errors that name the file and the key. */
import { readFile } from 'node:fs/promises'
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
  return new LabError('BAD_MODEL', `${file}: cannot be read (${messageOf(error)})`, { cause: error })
}

/** The text of a file, or null if there is none. Throws BAD_MODEL for any other failure. */
export async function readTextIfPresent(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw fileProblem(file, error)
  }
}

/** Parses JSON text and checks it against a schema. Throws BAD_MODEL naming the file and the first wrong key. */
export function parseJson<T>(file: string, text: string, schema: z.ZodType<T>): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new LabError('BAD_MODEL', `${file}: is not JSON (${messageOf(error)})`, { cause: error })
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
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw fileProblem(file, error)
  })
  return parseJson(file, text, schema)
}
