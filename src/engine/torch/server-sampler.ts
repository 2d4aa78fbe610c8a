/** The Sampler on an OpenAI-compatible server: token ids where it takes them, text that was proven equal elsewhere, and what it cannot do by a forward process. */
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
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
import { choicesForward, generateForward, sequencesForward, streamSeed, unlessAborted } from './asked.ts'
import { complete, promptLogprobs, type Completion } from './completions.ts'
import type { ForwardProcess } from './forward.ts'
import { textOfPrompt, tokensOfText } from './prompt-text.ts'
import type { ServedModel } from './served-model.ts'
import { refuseStream } from './stream.ts'

/** Requests that are under way at once on a server that batches; one that does not draws them in our order. */
const AT_ONCE = 64

export class ServerSampler implements Sampler {
  readonly can = { logprobs: true }
  private readonly served: ServedModel
  private readonly config: ModelConfig
  private readonly tokenizer: Tokenizer
  private readonly leave: () => Promise<void>
  /** What went another way. */
  private readonly detours = new Set<string>()

  constructor(
    served: ServedModel,
    model: { readonly config: ModelConfig; readonly tokenizer: Tokenizer },
    leave: () => Promise<void>,
  ) {
    this.served = served
    this.config = model.config
    this.tokenizer = model.tokenizer
    this.leave = leave
  }

  get notes(): readonly string[] {
    const { title, dialect } = this.served
    const how = dialect.ids
      ? '; it computes together what comes at a time: rounding, and with it a close draw, may differ from run to run'
      : '; it takes and gives text: tokens are those of the text, encoded again'
    return [`sampled by ${title}${how}`, ...this.detours]
  }

  async generate(requests: readonly GenerateRequest[], context: EngineContext): Promise<GenerateResult[]> {
    for (const request of requests) checkGenerate(request, this.config)
    const width = this.served.dialect.ids ? AT_ONCE : 1
    return unlessAborted(
      context,
      inTurn(requests, width, (request) => this.one(request, context)),
    )
  }

  stream(_request: StreamRequest, _context: EngineContext): AsyncIterable<Draw> {
    return refuseStream()
  }

  async choiceLogprobs(requests: readonly ChoiceRequest[], context: EngineContext): Promise<ChoiceResult[]> {
    for (const { id, prompt, choices } of requests)
      for (const choice of choices) checkScore({ id, prompt, continuation: choice }, this.config)
    if (!this.served.dialect.logprobs)
      return choicesForward(await this.forwardForLogprobs(), requests, context, this.detour)
    const scored = inTurn(requests, AT_ONCE, async ({ id, prompt, choices }) => ({
      id,
      logprobs: await Promise.all(choices.map((choice) => this.score(prompt, choice, context))),
    }))
    return unlessAborted(context, scored)
  }

  async sequenceLogprob(
    requests: readonly SequenceRequest[],
    context: EngineContext,
  ): Promise<SequenceResult[]> {
    for (const request of requests) checkScore(request, this.config)
    if (!this.served.dialect.logprobs)
      return sequencesForward(await this.forwardForLogprobs(), requests, context, this.detour)
    const scored = inTurn(requests, AT_ONCE, async ({ id, prompt, continuation }) => ({
      id,
      logprob: await this.score(prompt, continuation, context),
      tokens: continuation.length,
    }))
    return unlessAborted(context, scored)
  }

  close(): Promise<void> {
    return this.leave()
  }

  private readonly detour = (what: string): void => void this.detours.add(what)

  private async one(request: GenerateRequest, context: EngineContext): Promise<GenerateResult> {
    const { id, prompt, maxTokens } = request
    if (maxTokens === 0) return { id, tokens: [], finish: 'length' }
    const { dialect } = this.served
    const asked = dialect.ids ? prompt : textOfPrompt(this.tokenizer, prompt)
    if (asked === null) return this.byForward(request, 'prompts that no text stands for', context)
    const completion = await this.ask(request, asked, context)
    if (completion.promptTokens !== null && completion.promptTokens !== prompt.length) {
      throw new LabError(
        'ENGINE',
        `${this.served.title} read ${completion.promptTokens} tokens where ${prompt.length} were sent (request ${id})`,
        { hint: 'Its tokenizer is another one than the model folder has.' },
      )
    }
    const { finish } = completion
    const tokens = completion.tokens ?? tokensOfText(this.tokenizer, completion.text)
    if (tokens === null)
      return this.byForward(request, 'responses whose text has no tokens of its own', context)
    return { id, tokens, finish }
  }

  private ask(
    { id, maxTokens, temperature, topP, seed }: GenerateRequest,
    prompt: readonly number[] | string,
    { signal }: EngineContext,
  ): Promise<Completion> {
    const { eosIds, padId } = this.config
    const request = {
      prompt,
      maxTokens,
      temperature,
      topP,
      seed: streamSeed(id, seed),
      stopIds: eosIds,
      padId,
    }
    return this.served.ask((endpoint) => complete(endpoint, request, signal))
  }

  private async score(
    prompt: readonly number[],
    continuation: readonly number[],
    { signal }: EngineContext,
  ): Promise<number> {
    if (continuation.length === 0) return 0
    const tokens = [...prompt, ...continuation]
    const logprobs = await this.served.ask((endpoint) => promptLogprobs(endpoint, tokens, signal))
    return logprobs.slice(prompt.length - 1).reduce((sum, logprob) => sum + logprob, 0)
  }

  private async byForward(
    request: GenerateRequest,
    what: string,
    context: EngineContext,
  ): Promise<GenerateResult> {
    this.detour(`${what} went to the forward process`)
    const [result] = await generateForward(await this.served.forward(), [request], context, this.detour)
    if (result === undefined) throw new LabError('INTERNAL', `no answer to ${request.id}`)
    return result
  }

  /** Log-probabilities that were asked for must come back: a server that leaves them out, silently, does not give them. */
  private forwardForLogprobs(): Promise<ForwardProcess> {
    this.detour('log-probabilities came from the forward process: the server gives none')
    return this.served.forward()
  }
}

/** Results in order, at most `width` under way; the first failure ends it. */
async function inTurn<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Map<number, R>()
  const left = items.entries()
  const worker = async (): Promise<void> => {
    for (const [i, item] of left) results.set(i, await work(item))
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}
