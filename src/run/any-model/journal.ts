/** samples.jsonl while it grows: what a killed process had written counts, its last line if it is whole. */
import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises'
import { LabError } from '../../errors.ts'
import { type EvalRecord, recordId, recordSchema } from '../../evals/record.ts'

export interface Journal {
  /** By `recordId`: what needs not be asked again. */
  readonly done: ReadonlyMap<string, EvalRecord>
  /** Records of the file that are others now. */
  readonly changed: number
  /** Written through to the disk. */
  add(records: readonly EvalRecord[]): Promise<void>
  close(): Promise<void>
}

/**
 * Goes on with a file, or begins it. A cut last line is dropped, and so are errors that another try may mend; `now` makes of
 * a record what it would be today. Throws STORE for a line that is no record.
 */
export async function openJournal(
  file: string,
  now: (record: EvalRecord) => EvalRecord = (record) => record,
): Promise<Journal> {
  const before = (await readRecords(file)).filter((r) => !(r.status === 'failed' && r.again))
  const done = new Map(before.map((record) => [recordId(record), now(record)]))
  await writeRecords(file, done.values())
  const handle: FileHandle = await open(file, 'a')
  return {
    done,
    changed: before.filter((record) => linesOf([record]) !== linesOf([done.get(recordId(record)) ?? record]))
      .length,
    add: async (records) => {
      for (const record of records) done.set(recordId(record), record)
      await handle.appendFile(linesOf(records))
      await handle.datasync()
    },
    close: () => handle.close(),
  }
}

/** The whole file, replaced in one rename. */
export async function writeRecords(file: string, records: Iterable<EvalRecord>): Promise<void> {
  const partial = `${file}.new`
  await writeFile(partial, linesOf(records))
  await rename(partial, file)
}

/** Through the schema, so that a record that was read and one that is new have their keys in one order. */
const linesOf = (records: Iterable<EvalRecord>): string =>
  [...records].map((record) => `${JSON.stringify(recordSchema.parse(record))}\n`).join('')

async function readRecords(file: string): Promise<EvalRecord[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  })
  // The piece after the last line break is empty, or a line that was cut.
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line, i) => {
    const parsed = recordSchema.safeParse(parseOrNull(line))
    if (parsed.success) return parsed.data
    throw new LabError('STORE', 'this line is no sample of an evaluation', {
      at: { file, line: i + 1, col: 1 },
      hint: 'the file was changed or damaged: remove it, and all is asked again',
    })
  })
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
