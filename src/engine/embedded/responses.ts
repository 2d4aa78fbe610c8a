/** Responses under way: what each has said so far, and a step of the model and of the draw for all of them. */
import type { ModelConfig } from '../../model/config.ts'
import { type Rng, rng } from '../../rng.ts'
import type { GenerateRequest, GenerateResult, StreamRequest, TokenLogprobs } from '../engine.ts'
import { eachLogits, type Inference, runStep } from './inference.ts'
import { runOf, type Turn } from './slots.ts'
import { tokenLogprobs } from './token-logprobs.ts'

/** A request and what has been said to it. */
export interface Response {
  readonly request: StreamRequest
  /** Most tokens that the request and the model's positions allow. */
  readonly limit: number
  readonly stream: Rng
  /** Prompt and response. */
  readonly tokens: number[]
  fed: number
  finish: GenerateResult['finish'] | null
}

/** Most tokens of a response; the last one is never fed back, so it needs no position. */
function limitOf({ prompt, maxTokens }: GenerateRequest, { maxPositions }: ModelConfig): number {
  return Math.min(maxTokens, maxPositions - prompt.length + 1)
}

/** Positions of the cache that a request may need. */
export function positionsOf(request: GenerateRequest, config: ModelConfig): number {
  return request.prompt.length + Math.max(0, limitOf(request, config) - 1)
}

export function newResponse(request: StreamRequest, config: ModelConfig): Response {
  const limit = limitOf(request, config)
  return {
    request,
    limit,
    stream: rng(request.seed, request.id),
    tokens: [...request.prompt],
    fed: 0,
    finish: limit <= 0 ? 'length' : null,
  }
}

/** A token that was drawn for a response; one that ends a turn is no part of what it says. */
export interface DrawnTurn {
  readonly response: Response
  readonly slot: number
  readonly token: number
  readonly logprobs: TokenLogprobs | null
}

/** Feeds the turns; draws the next token of each response that has been fed whole, and appends it. */
export function stepResponses(
  inference: Inference,
  turns: readonly Turn<Response>[],
  { draws, stopIds }: { readonly draws: Draws; readonly stopIds: ReadonlySet<number> },
): DrawnTurn[] {
  feed(inference, turns)
  const drawing = turns.filter(({ sequence }) => sequence.fed === sequence.tokens.length)
  const logprobs = draw(inference, drawing, draws)
  return drawing.map(({ sequence, slot }, i) => {
    const token = draws.tokens[i] as number
    take(sequence, token, stopIds)
    return { response: sequence, slot, token, logprobs: logprobs[i] ?? null }
  })
}

function feed(inference: Inference, turns: readonly Turn<Response>[]): void {
  const runs = turns.map((turn) => {
    const last = turn.sequence.fed + turn.count === turn.sequence.tokens.length
    return runOf(turn, last ? [turn.count - 1] : [])
  })
  runStep(inference, runs)
  for (const { sequence, count } of turns) sequence.fed += count
}

/** What `sampleTokens` reads and writes, one element a row. */
export interface Draws {
  readonly tokens: Int32Array
  readonly inverseTemperatures: Float32Array
  readonly topPs: Float32Array
  readonly uniforms: Float64Array
  /** The same memory. */
  readonly uniformBits: Int32Array
}

export function allocateDraws(rows: number): Draws {
  const uniforms = new Float64Array(rows)
  return {
    tokens: new Int32Array(rows),
    inverseTemperatures: new Float32Array(rows),
    topPs: new Float32Array(rows),
    uniforms,
    uniformBits: new Int32Array(uniforms.buffer),
  }
}

/** Puts the next token of each response whose logits the last step left into `draws`; returns the log-probabilities wanted. */
function draw(
  inference: Inference,
  drawing: readonly Turn<Response>[],
  draws: Draws,
): readonly (TokenLogprobs | null)[] {
  const { tokens, inverseTemperatures, topPs, uniforms, uniformBits } = draws
  for (const [i, { sequence }] of drawing.entries()) {
    const { temperature, topP } = sequence.request
    inverseTemperatures[i] = temperature === 0 ? 0 : 1 / temperature
    topPs[i] = topP
    uniforms[i] = temperature === 0 ? 0 : sequence.stream.next()
  }
  const { k, network } = inference
  const { vocabSize } = network.config
  const wanted = drawing.map(({ sequence }) => sequence.request.topLogprobs ?? null)
  const found: (TokenLogprobs | null)[] = []
  eachLogits(inference, drawing.length, (logits, from, to) => {
    const drawn = tokens.subarray(from, to)
    k.sampleTokens(
      drawn,
      logits,
      inverseTemperatures.subarray(from, to),
      topPs.subarray(from, to),
      uniformBits.subarray(2 * from, 2 * to),
      to - from,
      vocabSize,
    )
    found.push(...tokenLogprobs(k, logits, { tokens: drawn, tops: wanted.slice(from, to), vocabSize }))
  })
  return found
}

function take(response: Response, token: number, stopIds: ReadonlySet<number>): void {
  const { request, limit, tokens } = response
  if (stopIds.has(token)) response.finish = 'stop'
  else if (tokens.push(token) === request.prompt.length + limit) response.finish = 'length'
}
