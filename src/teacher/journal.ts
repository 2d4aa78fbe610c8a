/** The append-only file of a teacher that is a model: what was sent, what it used, and every finished response; it survives kill -9. */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod'
import { LabError } from '../errors.ts'
import { sum, type Book } from './budget.ts'
import type { Tokens } from './completion.ts'

export interface FinishedResponse {
  readonly id: string
  readonly text: string
  readonly finish: 'stop' | 'length'
}

export interface Journal extends Book {
  /** Responses that earlier processes finished, by id. */
  readonly finished: ReadonlyMap<string, FinishedResponse>
  /** What they used; attempts that were in flight when one died count at their most. */
  readonly spent: Tokens
  finish(response: FinishedResponse): void
  close(): void
}

const tokensSchema = z.strictObject({ prompt: z.int().min(0), completion: z.int().min(0) })
const lineSchema = z.union([
  z.strictObject({ sent: z.string(), most: tokensSchema }),
  z.strictObject({ settled: z.string(), spent: tokensSchema }),
  z.strictObject({ id: z.string(), text: z.string(), finish: z.enum(['stop', 'length']) }),
])
const nothing: Tokens = { prompt: 0, completion: 0 }

/** Opens for appending. A line that a crash tore is cut off. Throws STORE for anything else that is not a journal. */
export function openJournal(file: string): Journal {
  mkdirSync(dirname(file), { recursive: true })
  const written = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
  const whole = written.subarray(0, written.lastIndexOf(10) + 1)
  const past = read(whole.toString('utf8'), file)
  const descriptor = openSync(file, 'a')
  if (whole.length < written.length) ftruncateSync(descriptor, whole.length)
  const append = (line: z.infer<typeof lineSchema>): void => {
    writeSync(descriptor, `${JSON.stringify(line)}\n`)
  }
  return {
    ...past,
    sent: ({ id, most }) => append({ sent: id, most }),
    settled: (id, spent) => append({ settled: id, spent }),
    finish: ({ id, text, finish }) => append({ id, text, finish }),
    close: () => closeSync(descriptor),
  }
}

function read(text: string, file: string): Pick<Journal, 'finished' | 'spent'> {
  const finished = new Map<string, FinishedResponse>()
  const open = new Map<string, Tokens>()
  let spent = nothing
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue
    const entry = parse(line, file, i + 1)
    if ('sent' in entry) {
      // Of one prompt one attempt is in flight at a time: another one that was sent means that a process died.
      spent = sum(spent, open.get(entry.sent) ?? nothing)
      open.set(entry.sent, entry.most)
    } else if ('settled' in entry) {
      open.delete(entry.settled)
      spent = sum(spent, entry.spent)
    } else {
      finished.set(entry.id, entry)
    }
  }
  return { finished, spent: [...open.values()].reduce(sum, spent) }
}

function parse(line: string, file: string, number: number): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line))
  } catch (error) {
    throw new LabError('STORE', 'a damaged journal of responses', {
      hint: 'move the file away; its responses are then asked for again',
      at: { file, line: number, col: 1 },
      cause: error,
    })
  }
}
