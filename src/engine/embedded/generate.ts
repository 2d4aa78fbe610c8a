/** Generates the responses of one batch: prefill, then a token a row until every row has stopped. */
import type { GenerateRequest, GenerateResult } from '../engine.ts'
import { type Rng, rng } from '../../rng.ts'
import type { Inference } from './inference.ts'
import type { Tensors } from './kv-cache.ts'
import { MASKED } from './llama-infer.ts'
import { argmax, drawToken } from './sampling.ts'

/** Rows that have stopped are dropped from the batch when they are at least this share of it. Measured by bench/sample.ts. */
const DROP_SHARE = 1 / 8

interface Row {
  readonly request: GenerateRequest
  /** Most tokens that the request and the model's positions allow. */
  readonly limit: number
  readonly stream: Rng
  readonly tokens: number[]
  finish: GenerateResult['finish'] | null
}

export interface GenerateBatch {
  readonly inference: Inference
  readonly weights: Tensors
  /** Any of these ends a response. */
  readonly stopIds: ReadonlySet<number>
  /** Longest sequence that the model is made for. */
  readonly maxPositions: number
  /** Asked before every step; true ends the work at once. */
  readonly cancelled: () => boolean
}

/** Results in request order, or null if cancelled. Prompts are not empty and fit the model. */
export async function generateBatch(
  context: GenerateBatch,
  requests: readonly GenerateRequest[],
): Promise<GenerateResult[] | null> {
  const all = requests.map((request) => newRow(request, context.maxPositions))
  let rows = all.filter(({ finish }) => finish === null)
  if (rows.length > 0 && !context.cancelled()) {
    const { cache } = context.inference
    const slots = Math.max(...rows.map(({ request }) => request.prompt.length))
    cache.reset(rows.length, slots + Math.max(...rows.map(({ limit }) => limit)))
    let logits = await context.inference.prefill(
      context.weights,
      rows.map(({ request }) => request.prompt),
    )
    while (!context.cancelled()) {
      await advance(rows, logits, context)
      rows = dropStopped(rows, context.inference)
      if (rows.length === 0) break
      logits = await context.inference.decode(context.weights, nextStep(rows, slots, cache.length))
    }
  }
  if (context.cancelled()) return null
  return all.map(({ request, tokens, finish }) => ({ id: request.id, tokens, finish: finish ?? 'length' }))
}

function newRow(request: GenerateRequest, maxPositions: number): Row {
  // The last token of a response is never fed back, so it needs no position.
  const limit = Math.min(request.maxTokens, maxPositions - request.prompt.length + 1)
  return {
    request,
    limit,
    stream: rng(request.seed, request.id),
    tokens: [],
    finish: limit <= 0 ? 'length' : null,
  }
}

/** Draws the next token of every row that has not stopped. */
async function advance(
  rows: readonly Row[],
  logits_BV: Float32Array,
  { inference, stopIds }: GenerateBatch,
): Promise<void> {
  const vocabSize = logits_BV.length / rows.length
  const temperatures = rows.map(({ request }) => request.temperature || 1)
  const random = rows.some(({ request, finish }) => finish === null && request.temperature > 0)
  const probabilities_BV = random ? await inference.probabilities(logits_BV, temperatures) : logits_BV

  for (const [b, row] of rows.entries()) {
    if (row.finish !== null) continue
    const { temperature, topP } = row.request
    const rowOf = (values_BV: Float32Array): Float32Array =>
      values_BV.subarray(b * vocabSize, (b + 1) * vocabSize)
    const token =
      temperature === 0
        ? argmax(rowOf(logits_BV))
        : drawToken(rowOf(probabilities_BV), topP, row.stream.next())
    if (stopIds.has(token)) row.finish = 'stop'
    else if (row.tokens.push(token) === row.limit) row.finish = 'length'
  }
}

/** Which rows stay depends on the tokens alone, so a response is the same on every machine and at every load. */
function dropStopped(rows: Row[], { cache }: Inference): Row[] {
  const going = [...rows.keys()].filter((b) => rows[b]?.finish === null)
  if (going.length > rows.length * (1 - DROP_SHARE)) return rows
  cache.keep(going)
  return rows.filter(({ finish }) => finish === null)
}

/** Feeds of the next decode step; a stopped row repeats its last token, and nobody looks. */
function nextStep(
  rows: readonly Row[],
  promptSlots: number,
  filled: number,
): Parameters<Inference['decode']>[1] {
  const mask_BP = new Float32Array(rows.length * (filled + 1))
  for (const [b, { request }] of rows.entries()) {
    const start = b * (filled + 1)
    mask_BP.fill(MASKED, start + request.prompt.length, start + promptSlots)
  }
  return {
    ids: Int32Array.from(rows, ({ tokens }) => tokens.at(-1) ?? 0),
    positions: BigInt64Array.from(rows, ({ request, tokens }) =>
      BigInt(request.prompt.length + Math.max(0, tokens.length - 1)),
    ),
    mask_BP,
  }
}
