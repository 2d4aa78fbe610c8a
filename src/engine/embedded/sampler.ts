/** The embedded sampler: requests are checked here and computed in a thread that all open models share. */
import { interrupted } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import { partsOf } from '../../model/weights-of.ts'
import type {
  ChoiceRequest,
  ChoiceResult,
  Draw,
  EngineContext,
  GenerateRequest,
  GenerateResult,
  Sampler,
  SequenceRequest,
  SequenceResult,
  StreamRequest,
} from '../engine.ts'
import { createCores, type Cores } from './cores.ts'
import { LiveStream } from './live-stream.ts'
import { checkGenerate, checkScore } from '../sample-requests.ts'
import { SamplerThread } from './sampler-thread.ts'
import { continuationSequence, planChoices, type ScoreSequence } from './score-plan.ts'

/** Threads that outlive a model: opening another checkpoint only reads its weights. */
export interface SamplerHost {
  /** Throws BAD_MODEL. */
  open(folder: string): Promise<Sampler>
  close(): Promise<void>
}

/** A host; its threads start as models are opened, one more than there are only if all of them have work. */
export function createSamplerHost(cores: Cores = createCores()): SamplerHost {
  let threads: SamplerThread[] = []
  let opened = 0
  const threadForModel = (): SamplerThread => {
    // After a thread has died its models are lost, and others start afresh.
    threads = threads.filter((thread) => !thread.closed)
    const idle = threads.find((thread) => thread.models === 0)
    if (idle) return idle
    if (threads.length < cores.threads) threads.push(new SamplerThread(cores))
    return threads.reduce((least, thread) => (thread.models < least.models ? thread : least))
  }
  return {
    async open(folder) {
      const parts = await partsOf(folder)
      const thread = threadForModel()
      const model = opened++
      await thread.run({ kind: 'open', model, parts })
      return new EmbeddedSampler(thread, model, parts.config)
    },
    async close() {
      await Promise.all(threads.splice(0).map((thread) => thread.close()))
    },
  }
}

/** One model with a host of its own, which closes with it. */
export async function openSampler(folder: string, cores?: Cores): Promise<Sampler> {
  const host = createSamplerHost(cores)
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
  private readonly thread: SamplerThread
  private readonly model: number
  private readonly config: ModelConfig
  private readonly live: LiveStream

  constructor(thread: SamplerThread, model: number, config: ModelConfig) {
    this.live = new LiveStream(thread, model, config)
    this.thread = thread
    this.model = model
    this.config = config
  }

  async generate(requests: readonly GenerateRequest[], context: EngineContext): Promise<GenerateResult[]> {
    for (const request of requests) checkGenerate(request, this.config)
    return this.unlessAborted(context, (cancel) =>
      this.thread.run({ kind: 'generate', model: this.model, requests }, cancel),
    )
  }

  async *stream(request: StreamRequest, context: EngineContext): AsyncGenerator<Draw, void, undefined> {
    checkGenerate(request, this.config)
    yield* this.live.draws(request, context)
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
    if (!this.thread.closed) await this.thread.run({ kind: 'close', model: this.model })
  }

  private score(sequences: readonly ScoreSequence[], context: EngineContext): Promise<(readonly number[])[]> {
    return this.unlessAborted(context, (cancel) =>
      this.thread.run({ kind: 'score', model: this.model, sequences }, cancel),
    )
  }

  /** Rejects with INTERRUPTED at once when the signal fires, and tells the thread. */
  private async unlessAborted<R>(
    { signal }: EngineContext,
    run: (cancel: Int32Array) => Promise<readonly R[] | null>,
  ): Promise<R[]> {
    if (signal.aborted) throw interrupted()
    const cancel = new Int32Array(new SharedArrayBuffer(4))
    const aborted = Promise.withResolvers<never>()
    const abort = (): void => {
      Atomics.store(cancel, 0, 1)
      aborted.reject(interrupted())
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      const results = await Promise.race([run(cancel), aborted.promise])
      if (results === null) throw interrupted()
      return [...results]
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
