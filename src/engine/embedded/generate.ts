/** Generates the responses of a call: every step feeds a token of each response under way, and prompts into free slots. */
import type { GenerateRequest, GenerateResult } from '../engine.ts'
import { openInference, sharePrefix } from './inference.ts'
import { allocateDraws, newResponse, positionsOf, stepResponses } from './responses.ts'
import type { SampledModel } from './sampled-model.ts'
import { Slots } from './slots.ts'

/**
 * Results in request order, or null if cancelled, which is asked before every step. Prompts are not empty and fit the model.
 * A response depends on its request alone (inference.ts says why), however the slots are shared out.
 */
export function generate(
  model: SampledModel,
  requests: readonly GenerateRequest[],
  cancelled: () => boolean,
): GenerateResult[] | null {
  const { config } = model.network
  const responses = requests.map((request) => newResponse(request, config))
  const open = responses.filter(({ finish }) => finish === null)
  if (open.length > 0 && !cancelled()) {
    const positions = open.reduce((most, { request }) => Math.max(most, positionsOf(request, config)), 0)
    const inference = openInference(model, { sequences: open.length, positions })
    const shared = sharePrefix(
      inference,
      open.map(({ request }) => request.prompt),
    )
    for (const response of open) response.fed = shared
    const slots = new Slots(open, inference)
    const draws = allocateDraws(inference.cache.slots)
    for (let turns = slots.next(); turns.length > 0 && !cancelled(); turns = slots.next()) {
      for (const { response, slot } of stepResponses(inference, turns, { draws, stopIds: model.stopIds })) {
        if (response.finish !== null) slots.release(slot)
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
