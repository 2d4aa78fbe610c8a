/** The embedded sampler: models of one architecture share worker threads and compiled graphs, batches depend on the requests alone. */
import { availableParallelism } from 'node:os'
import { interrupted, LabError } from '../../errors.ts'
import type { LlamaConfig } from '../../model/config.ts'
import { readConfig } from '../../model/folder.ts'
import type {
  ChoiceRequest,
  ChoiceResult,
  EngineContext,
  GenerateRequest,
  GenerateResult,
  Sampler,
  SequenceRequest,
  SequenceResult,
} from '../engine.ts'
import { type BatchItem, planBatches } from './batching.ts'
import { continuationSequence, planChoices, type ScoreSequence } from './score-plan.ts'
import { checkGenerate, checkScore } from './sample-requests.ts'
import { SamplerWorkers } from './sampler-workers.ts'
import { stopTokens } from './stop-tokens.ts'

export interface SamplerHostOptions {
  /** Threads that each compute one batch at a time; never changes a result. Default: the cores, at most 4. */
  readonly workers?: number
}

/** Threads and compiled graphs that outlive a model: opening another checkpoint of the same architecture only reads its weights. */
export interface SamplerHost {
  /** Throws BAD_MODEL. */
  open(folder: string): Promise<Sampler>
  close(): Promise<void>
}

/** A host; the threads start with the first model. */
export function createSamplerHost(options: SamplerHostOptions = {}): SamplerHost {
  const count = options.workers ?? Math.min(4, availableParallelism())
  let workers: SamplerWorkers | null = null
  let opened = 0
  return {
    async open(folder) {
      const config = await readConfig(folder)
      const stopIds = await stopTokens(folder, config)
      // After a thread has died its models are lost, and others start afresh.
      if (!workers || workers.closed) workers = new SamplerWorkers(count)
      const own = workers
      const model = { id: opened++, folder, config, stopIds }
      await own.each({ kind: 'open', model })
      return new EmbeddedSampler(own, model.id, config)
    },
    async close() {
      await workers?.close()
      workers = null
    },
  }
}

/** One model with a host of its own, which closes with it. */
export async function openSampler(folder: string, options: SamplerHostOptions = {}): Promise<Sampler> {
  const host = createSamplerHost(options)
  try {
    const sampler = await host.open(folder)
    return Object.assign(sampler, { close: () => host.close() })
  } catch (error) {
    await host.close()
    throw error
  }
}

class EmbeddedSampler implements Sampler {
  readonly can = { logprobs: true }
  private readonly workers: SamplerWorkers
  private readonly model: number
  private readonly config: LlamaConfig

  constructor(workers: SamplerWorkers, model: number, config: LlamaConfig) {
    this.workers = workers
    this.model = model
    this.config = config
  }

  async generate(requests: readonly GenerateRequest[], context: EngineContext): Promise<GenerateResult[]> {
    for (const request of requests) checkGenerate(request, this.config)
    return this.inBatches(
      requests,
      ({ prompt }) => this.sizeOf(prompt.length, 1),
      context,
      (batch, cancel) => this.workers.run({ kind: 'generate', id: this.model, requests: batch }, cancel),
    )
  }

  async choiceLogprobs(requests: readonly ChoiceRequest[], context: EngineContext): Promise<ChoiceResult[]> {
    for (const { id, prompt, choices } of requests) {
      for (const choice of choices) checkScore({ id, prompt, continuation: choice }, this.config)
    }
    const plans = requests.map(planChoices)
    const logprobs = await this.score(
      plans.flatMap(({ sequences }) => sequences),
      context,
    )
    let first = 0
    return requests.map(({ id, choices }, i) => {
      const plan = plans[i]
      const own = logprobs.slice(first, (first += plan?.sequences.length ?? 0))
      const sums = choices.map((choice, c) => {
        const { sequence = 0, firstPick = 0 } = plan?.places[c] ?? {}
        return sum(own[sequence]?.slice(firstPick, firstPick + choice.length) ?? [])
      })
      return { id, logprobs: sums }
    })
  }

  async sequenceLogprob(
    requests: readonly SequenceRequest[],
    context: EngineContext,
  ): Promise<SequenceResult[]> {
    for (const request of requests) checkScore(request, this.config)
    const sequences = requests.map(({ prompt, continuation }) => continuationSequence(prompt, continuation))
    const logprobs = await this.score(sequences, context)
    return requests.map(({ id, continuation }, i) => ({
      id,
      logprob: sum(logprobs[i] ?? []),
      tokens: continuation.length,
    }))
  }

  async close(): Promise<void> {
    if (!this.workers.closed) await this.workers.each({ kind: 'close', id: this.model })
  }

  private score(sequences: readonly ScoreSequence[], context: EngineContext): Promise<(readonly number[])[]> {
    return this.inBatches(
      sequences,
      ({ tokens, picks }) => this.sizeOf(tokens.length, picks.length),
      context,
      (batch, cancel) => this.workers.run({ kind: 'score', id: this.model, sequences: batch }, cancel),
    )
  }

  /** The attention scores of a layer and the logits are what grows fastest. */
  private sizeOf(length: number, scored: number): BatchItem {
    const { heads, vocabSize } = this.config
    return { length, elements: Math.max(heads * length * length, scored * vocabSize) }
  }

  /** Results in the order of the items; rejects with INTERRUPTED at once when the signal fires. */
  private async inBatches<I, R>(
    items: readonly I[],
    sizeOf: (item: I) => BatchItem,
    { signal }: EngineContext,
    run: (batch: readonly I[], cancel: Int32Array) => Promise<readonly R[] | null>,
  ): Promise<R[]> {
    if (signal.aborted) throw interrupted()
    const cancel = new Int32Array(new SharedArrayBuffer(4))
    const aborted = Promise.withResolvers<never>()
    const abort = (): void => aborted.reject(interrupted())
    signal.addEventListener('abort', abort, { once: true })
    try {
      const results: R[] = []
      const work = planBatches(items.map(sizeOf)).map(async (indices) => {
        const batch = await run(
          indices.map((i) => items[i] as I),
          cancel,
        )
        if (batch?.length !== indices.length) throw new LabError('INTERNAL', 'a batch came back incomplete')
        for (const [k, i] of indices.entries()) results[i] = batch[k] as R
      })
      await Promise.race([Promise.all(work), aborted.promise])
      return results
    } finally {
      signal.removeEventListener('abort', abort)
      // Nothing is left to do after success; after a failure nobody waits for the other batches.
      this.workers.cancel(cancel)
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
