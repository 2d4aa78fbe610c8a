/** What a training will cost on this machine's CPU: a rough forecast for plans and progress bars, never a result. */
import { parameterCount, type LlamaConfig } from '../../model/config.ts'
import type { Cost } from '../engine.ts'

/** Sustained by two cores of a 2023 server CPU on the demo, padding included (larger models reach more). */
const FLOPS_PER_SECOND = 100e9

/** Bytes of activations a token keeps for the backward pass, by layer: stream and heads, and the feed-forward. */
const STREAM_COPIES = 14
const FFN_COPIES = 6

/** `tokens` in all, `batchTokens` a step. 6 flops a parameter and token: forward once, backward twice. */
export function trainingCost({
  config,
  tokens,
  batchTokens,
}: {
  readonly config: LlamaConfig
  readonly tokens: number
  readonly batchTokens: number
}): Cost {
  const parameters = parameterCount(config)
  const perToken =
    config.layers * (STREAM_COPIES * config.hiddenSize + FFN_COPIES * config.ffnSize) + 4 * config.vocabSize
  return {
    parameters,
    tokens,
    seconds: (6 * parameters * tokens) / FLOPS_PER_SECOND,
    memoryBytes: 4 * (8 * parameters + perToken * batchTokens),
  }
}
