/** Loads the prompts of a local JSON, JSON Lines or Parquet file, with the responses that it records. */
import { LabError } from '../errors.ts'
import { detectFormat, readExchange, type PromptFormat } from './formats.ts'
import { readRows } from './read-rows.ts'
import type { Counts, PromptRow } from './rows.ts'

export interface PromptFileOptions {
  /** Default: recognised by the keys of the first row. */
  readonly format?: PromptFormat
  /** Rows [from, to) of the file, counted from 0 before anything is dropped. Default: all. */
  readonly rows?: readonly [from: number, to: number]
  /** Stop after so many rows of the file; fewer are no error. */
  readonly atMost?: number
}

export interface PromptFile {
  readonly format: PromptFormat
  /** Ids are `row-<number in the file>`. */
  readonly rows: readonly PromptRow[]
  /** Rows in the asked range that are not in `rows`: duplicate, empty_prompt, no_prompt. */
  readonly dropped: Counts
  /** What kept rows said that is not used: later_turns, system_prompt (the experiment's own one is). */
  readonly unused: Counts
}

/**
 * Reads `file` row by row and stops after the last row asked for.
 *
 * A prompt that stood earlier in the file is dropped and counted, even if that was before `from`: disjoint ranges of one
 * file therefore never share a prompt. Two prompts are the same if they differ only in white space at their ends.
 * Throws BAD_INPUT, with the line, for everything that is wrong with the file.
 */
export async function loadPromptFile(file: string, options: PromptFileOptions = {}): Promise<PromptFile> {
  const [from, to] = options.rows ?? [0, Infinity]
  if (!(Number.isInteger(from) && from >= 0 && (Number.isInteger(to) || to === Infinity) && to > from)) {
    throw new LabError('BAD_INPUT', `${file}: rows [${from}, ${to}) is not a range`, {
      hint: 'rows are counted from 0, and the second number is the first row left out',
    })
  }

  let format = options.format
  let read = 0
  const seen = new Set<string>()
  const rows: PromptRow[] = []
  const dropped = { duplicate: 0, empty_prompt: 0, no_prompt: 0 }
  const unused = { later_turns: 0, system_prompt: 0 }

  for await (const { row, value, at } of readRows(file)) {
    format ??= detectFormat(value, at)
    const exchange = readExchange(format, value, row, at)
    const fate = fateOf(exchange.prompt, seen)
    if (row >= from) {
      if (fate === 'kept' && exchange.prompt !== null) {
        const { prompt, response } = exchange
        rows.push({ id: `row-${row}`, prompt, ...(response === undefined ? {} : { response }) })
        if (exchange.hasLaterTurns) unused.later_turns++
        if (exchange.hasSystemPrompt) unused.system_prompt++
      } else if (fate !== 'kept') {
        dropped[fate]++
      }
    }
    read = row + 1
    if (read >= to || read >= (options.atMost ?? Infinity)) break
  }

  if (format === undefined) {
    throw new LabError('BAD_INPUT', `${file} holds no rows`, { hint: 'the file is empty' })
  }
  if (to !== Infinity && read < to) {
    throw new LabError('BAD_INPUT', `${file} has ${read} rows; rows [${from}, ${to}) were asked for`)
  }
  if (rows.length === 0) {
    const reasons = Object.entries(dropped).filter(([, n]) => n > 0)
    throw new LabError(
      'BAD_INPUT',
      `${file}: no row can be used (${reasons.map(([r, n]) => `${r} ${n}`).join(', ')})`,
      {
        hint: `read as format ${format}`,
      },
    )
  }
  return { format, rows, dropped, unused }
}

type Fate = 'kept' | 'duplicate' | 'empty_prompt' | 'no_prompt'

function fateOf(prompt: string | null, seen: Set<string>): Fate {
  if (prompt === null) return 'no_prompt'
  const text = prompt.trim()
  if (text === '') return 'empty_prompt'
  if (seen.has(text)) return 'duplicate'
  seen.add(text)
  return 'kept'
}
