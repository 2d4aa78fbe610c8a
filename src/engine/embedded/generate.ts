/** Generates the responses of a call: every step feeds a token of each response under way, and prompts into free slots. */
import type { GenerateRequest, GenerateResult } from '../engine.ts'
import { type Rng, rng } from '../../rng.ts'
import { eachLogits, type Inference, openInference, runStep, sharePrefix } from './inference.ts'
import type { SampledModel } from './sampled-model.ts'
import { runOf, Slots, type Turn } from './slots.ts'

interface Response {
  readonly request: GenerateRequest
  /** Most tokens that the request and the model's positions allow. */
  readonly limit: number
  readonly stream: Rng
  /** Prompt and response. */
  readonly tokens: number[]
  fed: number
  finish: GenerateResult['finish'] | null
}

/**
 * Results in request order, or null if cancelled, which is asked before every step. Prompts are not empty and fit the model.
 * A response depends on its request alone (inference.ts says why), however the slots are shared out.
 */
export function generate(
  model: SampledModel,
  requests: readonly GenerateRequest[],
  cancelled: () => boolean,
): GenerateResult[] | null {
  const responses = requests.map((request) => newResponse(request, model.network.config.maxPositions))
  const open = responses.filter(({ finish }) => finish === null)
  if (open.length > 0 && !cancelled()) {
    const positions = open.reduce(
      (most, { request, limit }) => Math.max(most, request.prompt.length + limit - 1),
      0,
    )
    const inference = openInference(model, { sequences: open.length, positions })
    const shared = sharePrefix(
      inference,
      open.map(({ request }) => request.prompt),
    )
    for (const response of open) response.fed = shared
    const slots = new Slots(open, inference)
    const draws = allocateDraws(inference.cache.slots)
    for (let turns = slots.next(); turns.length > 0 && !cancelled(); turns = slots.next()) {
      feed(inference, turns)
      const drawing = turns.filter(({ sequence }) => sequence.fed === sequence.tokens.length)
      draw(inference, drawing, draws)
      for (const [i, { sequence, slot }] of drawing.entries()) {
        take(sequence, draws.tokens[i] as number, model.stopIds)
        if (sequence.finish !== null) slots.release(slot)
      }
    }
  }
  if (cancelled()) return null
  return responses.map(({ request, tokens, finish }) => ({
    id: request.id,
    tokens: tokens.slice(request.prompt.length),
    finish: finish ?? 'length',
  }))
}

function newResponse(request: GenerateRequest, maxPositions: number): Response {
  // The last token of a response is never fed back, so it needs no position.
  const limit = Math.min(request.maxTokens, maxPositions - request.prompt.length + 1)
  return {
    request,
    limit,
    stream: rng(request.seed, request.id),
    tokens: [...request.prompt],
    fed: 0,
    finish: limit <= 0 ? 'length' : null,
  }
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
interface Draws {
  readonly tokens: Int32Array
  readonly inverseTemperatures: Float32Array
  readonly topPs: Float32Array
  readonly uniforms: Float64Array
  /** The same memory. */
  readonly uniformBits: Int32Array
}

function allocateDraws(rows: number): Draws {
  const uniforms = new Float64Array(rows)
  return {
    tokens: new Int32Array(rows),
    inverseTemperatures: new Float32Array(rows),
    topPs: new Float32Array(rows),
    uniforms,
    uniformBits: new Int32Array(uniforms.buffer),
  }
}

/** The next token of each response whose logits the last step left. */
function draw(inference: Inference, drawing: readonly Turn<Response>[], draws: Draws): void {
  const { tokens, inverseTemperatures, topPs, uniforms, uniformBits } = draws
  for (const [i, { sequence }] of drawing.entries()) {
    const { temperature, topP } = sequence.request
    inverseTemperatures[i] = temperature === 0 ? 0 : 1 / temperature
    topPs[i] = topP
    uniforms[i] = temperature === 0 ? 0 : sequence.stream.next()
  }
  const { k, network } = inference
  eachLogits(inference, drawing.length, (logits, from, to) => {
    k.sampleTokens(
      tokens.subarray(from, to),
      logits,
      inverseTemperatures.subarray(from, to),
      topPs.subarray(from, to),
      uniformBits.subarray(2 * from, 2 * to),
      to - from,
      network.config.vocabSize,
    )
  })
}

function take(response: Response, token: number, stopIds: ReadonlySet<number>): void {
  const { request, limit, tokens } = response
  if (stopIds.has(token)) response.finish = 'stop'
  else if (tokens.push(token) === request.prompt.length + limit) response.finish = 'length'
}
