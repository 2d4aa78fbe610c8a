/** The Sampler on the package's forward process: token ids in, token ids and log-probabilities out. */
import type { ModelConfig } from '../../model/config.ts'
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
import { checkGenerate, checkScore } from '../sample-requests.ts'
import { choicesForward, generateForward, sequencesForward } from './asked.ts'
import type { ForwardProcess } from './forward.ts'
import { refuseStream } from './stream.ts'

export class ForwardSampler implements Sampler {
  readonly can = { logprobs: true }
  private readonly process: ForwardProcess
  private readonly config: ModelConfig
  private readonly leave: () => Promise<void>
  private readonly noted = new Set<string>()

  constructor(process: ForwardProcess, config: ModelConfig, leave: () => Promise<void>) {
    this.process = process
    this.config = config
    this.leave = leave
  }

  get notes(): readonly string[] {
    return [...this.noted]
  }

  async generate(requests: readonly GenerateRequest[], context: EngineContext): Promise<GenerateResult[]> {
    for (const request of requests) checkGenerate(request, this.config)
    return generateForward(this.process, requests, context, this.note)
  }

  stream(_request: StreamRequest, _context: EngineContext): AsyncIterable<Draw> {
    return refuseStream()
  }

  async choiceLogprobs(requests: readonly ChoiceRequest[], context: EngineContext): Promise<ChoiceResult[]> {
    for (const { id, prompt, choices } of requests)
      for (const choice of choices) checkScore({ id, prompt, continuation: choice }, this.config)
    return choicesForward(this.process, requests, context, this.note)
  }

  async sequenceLogprob(
    requests: readonly SequenceRequest[],
    context: EngineContext,
  ): Promise<SequenceResult[]> {
    for (const request of requests) checkScore(request, this.config)
    return sequencesForward(this.process, requests, context, this.note)
  }

  close(): Promise<void> {
    return this.leave()
  }

  private readonly note = (text: string): void => void this.noted.add(text)
}
