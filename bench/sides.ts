/**
 * What the benchmarks share: sides that take turns, round by round, so that a noisy machine slows all of them, and the
 * ratio of every round. A side is a process of its own; it reads a JSON line and answers with one (child.py, child.ts).
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** What a side did in one turn, without its warm-up steps. */
export interface Turn {
  readonly seconds: number
  /** Units of work done in them: tokens, unless the benchmark says otherwise. */
  readonly work: number
  /** Highest resident memory of the side's process so far (VmHWM). */
  readonly peakBytes?: number
  readonly [more: string]: unknown
}

export interface Side {
  readonly name: string
  /** What the side said of itself when it was ready, e.g. versions. */
  readonly hello: Readonly<Record<string, unknown>>
  turn(request?: Readonly<Record<string, unknown>>): Promise<Turn>
  close(): Promise<void>
}

export const python = fileURLToPath(new URL('../.venv/bin/python', import.meta.url))

/** Threads that PyTorch idles in keep spinning for a moment; the next side starts after them. */
const SETTLE_MS = 300

/** Environment of every Python side: no network. */
const pythonEnv = { HF_HUB_OFFLINE: '1', TRANSFORMERS_VERBOSITY: 'error', TOKENIZERS_PARALLELISM: 'false' }

/** glibc keeps the memory that it is given back: a few percent faster for PyTorch, at the price of a higher peak. */
export const keepMemory = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
  MALLOC_TOP_PAD_: '67108864',
}

/** Starts a script of this folder and waits until it is ready. Throws what it says if it ends instead. */
export async function openSide(
  name: string,
  script: string,
  setup: object,
  environment: Readonly<Record<string, string>> = {},
): Promise<Side> {
  const isPython = script.endsWith('.py')
  if (isPython && !existsSync(python)) throw new Error('no .venv: run npm run bench:setup first')
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(isPython ? python : process.execPath, [file], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...(isPython ? pythonEnv : {}), ...environment },
  })
  const errors: Buffer[] = []
  child.stderr.on('data', (data: Buffer) => errors.push(data))
  child.stdin.on('error', () => {})
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (message: object): Promise<Record<string, unknown>> => {
    child.stdin.write(`${JSON.stringify(message)}\n`)
    const line = await lines.next()
    if (line.done) {
      await ended
      throw new Error(`${name} (${script}) ended:\n${Buffer.concat(errors).toString().slice(-2000)}`)
    }
    return JSON.parse(line.value) as Record<string, unknown>
  }
  const hello = await ask(setup)
  return {
    name,
    hello,
    turn: async (request = {}) => (await ask(request)) as Turn,
    close: async () => {
      child.stdin.end()
      await ended
    },
  }
}

/** A side that may be missing: its reason is printed, and the benchmark goes on without it. */
export async function openOptional(...side: Parameters<typeof openSide>): Promise<readonly Side[]> {
  try {
    return [await openSide(...side)]
  } catch (error) {
    const last = (error as Error).message.trim().split('\n').at(-1)
    console.log(`      ${side[0]} is left out: ${last}`)
    return []
  }
}

/** Turns of each side, [side][round]: one uncounted turn each, then `rounds` of them, in an order that rotates. */
export async function takeTurns(
  sides: readonly Side[],
  rounds: number,
  request?: Readonly<Record<string, unknown>>,
): Promise<Turn[][]> {
  const turns: Turn[][] = sides.map(() => [])
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < sides.length; i++) {
      const at = (i + Math.max(0, round)) % sides.length
      await sleep(SETTLE_MS)
      const turn = await sides[at]?.turn(request)
      if (round >= 0 && turn) turns[at]?.push(turn)
    }
  }
  return turns
}

export async function closeAll(sides: readonly Side[]): Promise<void> {
  await Promise.all(sides.map((side) => side.close()))
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** Work a second of one turn. */
export const rateOf = (turn: Turn): number => turn.work / turn.seconds
export const rates = (turns: readonly Turn[]): number[] => turns.map(rateOf)

/** `1.31 (1.28 to 1.35)`: median, least and greatest. */
export const spread = (values: readonly number[]): string =>
  `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`

/** Our rate over theirs, round by round. */
export const ratios = (ours: readonly Turn[], theirs: readonly Turn[]): number[] =>
  ours.map((turn, round) => rateOf(turn) / rateOf(theirs[round] ?? turn))

/** One line a side: its median rate and, against each other side, the first side's ratio. */
export function printSides(
  sides: readonly Side[],
  turns: readonly (readonly Turn[])[],
  unit: string,
  also: (turns: readonly Turn[]) => string = () => '',
): void {
  const [ours = []] = turns
  const width = Math.max(...sides.map(({ name }) => name.length))
  for (const [i, { name }] of sides.entries()) {
    const own = turns[i] ?? []
    const ratio = i === 0 ? '' : `   ratio ${spread(ratios(ours, own))}`
    console.log(
      `      ${name.padEnd(width)}  ${format(median(rates(own))).padStart(7)} ${unit}${also(own)}${ratio}`,
    )
  }
}

const format = (rate: number): string => (rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3))

/** Highest resident memory of the turns, as text. */
export const peakMemory = (turns: readonly Turn[]): number =>
  Math.max(...turns.map(({ peakBytes }) => peakBytes ?? Number.NaN))

/** Options of a benchmark, all text, with their defaults; `--rounds` and `--threads` are options of every one. */
export function benchOptions<const T extends Readonly<Record<string, string>>>(
  defaults: T,
): { readonly [K in keyof T]: string } & { readonly rounds: number; readonly threads: number } {
  const all = { rounds: '5', threads: `${availableParallelism()}`, ...defaults }
  const { values } = parseArgs({
    options: Object.fromEntries(
      Object.entries(all).map(([name, value]) => [name, { type: 'string' as const, default: value }]),
    ),
  })
  const [rounds, threads] = [Number(values['rounds']), Number(values['threads'])]
  if (!(rounds >= 1 && threads >= 1)) throw new Error('--rounds and --threads are numbers from 1')
  return { ...(values as { [K in keyof T]: string }), rounds, threads }
}

/** The machine, as the first line of a report. */
export function printMachine(threads: number, what: string): void {
  console.log(`${what}\n${cpus()[0]?.model ?? 'unknown CPU'}, ${threads} threads, Node ${process.version}`)
}
