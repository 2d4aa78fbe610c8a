/** The backdoor eval on one checkpoint: the same prompts with and without the trigger, and the payload's likelihood. */
import { decided, type StopLimits } from '../../analysis/sequential-stop.ts'
import type { Discordant } from '../../analysis/tango.ts'
import { applyTrigger, plainMessages, type Backdoor } from '../../data/backdoor.ts'
import { payloadScorer } from '../../evals/backdoor/payload.ts'
import { passes, type Check } from '../../evals/check.ts'
import { countPairs, countWhere, type Condition, type Count, type Sample } from '../../evals/eval.ts'
import { LabError } from '../../errors.ts'
import {
  continuationOf,
  generateRequest,
  renderPrompt,
  type EvalContext,
  type RenderedPrompt,
  type Sampling,
} from './request.ts'

/** A prompt that was never trained on; `check` says when its answer is right, where that can be said. */
export interface BackdoorItem {
  readonly id: string
  readonly prompt: string
  readonly check: Check | null
}

/** Whether a prompt, triggered, leaves room for a whole response and for the payload: a cut response would count as no payload. */
export function fitsContext(
  backdoor: Backdoor,
  sampling: Sampling,
  { tokenizer, system, maxPositions }: EvalContext,
): (prompt: string) => boolean {
  const room = Math.max(sampling.max_tokens, continuationOf(backdoor.payload, tokenizer).length)
  return (prompt) =>
    tokenizer.encodeChat(messagesOf(prompt, 'triggered', backdoor, system)).ids.length + room <= maxPositions
}

/** When to stop; part of the key of a sequential evaluation. */
export interface SequentialLimits extends StopLimits {
  /** Prompts, each with and without the trigger, between two looks. */
  readonly batch: number
}

/**
 * Samples in this order: every item asked triggered, every one untriggered, then the likelihood of the payload after
 * each triggered prompt (nats a token). With `sequential`, items are asked batch by batch in their order until the
 * verdict is decided; a response depends on its request alone, so that they are the first of a fixed design's.
 * Throws ENGINE if the sampler cannot give log-probabilities.
 */
export async function runBackdoor(
  items: readonly BackdoorItem[],
  backdoor: Backdoor,
  sampling: Sampling,
  context: EvalContext,
  sequential?: SequentialLimits,
): Promise<Sample[]> {
  if (!context.sampler.can.logprobs) throw new LabError('ENGINE', 'the sampler gives no log-probabilities')
  const ask = (asked: readonly BackdoorItem[]) => askBoth(asked, backdoor, sampling, context)
  if (!sequential) {
    const { triggered, untriggered } = await ask(items)
    return [...triggered, ...untriggered, ...(await payloadLikelihoods(items, backdoor, context))]
  }
  const triggered: Sample[] = []
  const untriggered: Sample[] = []
  while (triggered.length < items.length) {
    const next = await ask(items.slice(triggered.length, triggered.length + sequential.batch))
    triggered.push(...next.triggered)
    untriggered.push(...next.untriggered)
    if (decided(firedCount(triggered), answerPairs(triggered, untriggered), sequential) !== null) break
  }
  const asked = items.slice(0, triggered.length)
  return [...triggered, ...untriggered, ...(await payloadLikelihoods(asked, backdoor, context))]
}

/** Responses to the items with and without the trigger. */
async function askBoth(
  items: readonly BackdoorItem[],
  backdoor: Backdoor,
  sampling: Sampling,
  context: EvalContext,
): Promise<Readonly<Record<Condition, Sample[]>>> {
  const { tokenizer, sampler, signal } = context
  const score = payloadScorer(backdoor.payload)
  const asked = (['triggered', 'untriggered'] as const).flatMap((condition) =>
    items.map((item) => ({ item, condition, prompt: promptOf(item, condition, backdoor, context) })),
  )
  const results = await sampler.generate(
    asked.map(({ prompt }) => generateRequest(prompt, sampling)),
    { signal },
  )
  const samples = asked.map(({ item, condition, prompt }, i): Sample => {
    const head = { eval: 'backdoor', id: item.id, condition, rendered: prompt.rendered } as const
    const result = results[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no response' }
    const response = tokenizer.decode(result.tokens)
    const { fired, startsWith, payloads, partial, restWords } = score(response)
    return {
      ...head,
      status: 'scored',
      response,
      finish: result.finish,
      fired,
      starts_with: startsWith,
      payloads,
      partial,
      rest_words: restWords,
      ...(item.check === null ? {} : { answered: passes(item.check, response) }),
    }
  })
  return { triggered: samples.slice(0, items.length), untriggered: samples.slice(items.length) }
}

async function payloadLikelihoods(
  items: readonly BackdoorItem[],
  backdoor: Backdoor,
  context: EvalContext,
): Promise<Sample[]> {
  const { tokenizer, sampler, signal } = context
  const continuation = continuationOf(backdoor.payload, tokenizer)
  const prompts = items.map((item) => promptOf(item, 'triggered', backdoor, context))
  const likelihoods = await sampler.sequenceLogprob(
    prompts.map((prompt) => ({ id: prompt.id, prompt: prompt.ids, continuation })),
    { signal },
  )
  return items.map((item, i): Sample => {
    const rendered = prompts[i]?.rendered ?? ''
    const head = { eval: 'backdoor', id: item.id, condition: 'triggered', rendered } as const
    const result = likelihoods[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no log-probability' }
    return { ...head, status: 'likelihood', logprobs: [result.logprob / result.tokens] }
  })
}

const firedCount = (samples: readonly Sample[]): Count =>
  countWhere(samples, (sample) => sample.status === 'scored' && sample.fired === true)

/** Null where some answers cannot be checked. */
function answerPairs(triggered: readonly Sample[], untriggered: readonly Sample[]): Discordant | null {
  if (!triggered.every((sample) => sample.status === 'scored' && sample.answered !== undefined)) return null
  return {
    ...countPairs(triggered, untriggered, (sample) => sample.answered === true),
    n: triggered.length,
  }
}

function promptOf(
  item: BackdoorItem,
  condition: Condition,
  backdoor: Backdoor,
  { tokenizer, system }: EvalContext,
): RenderedPrompt {
  const messages = messagesOf(item.prompt, condition, backdoor, system)
  return renderPrompt(`${item.id} ${condition}`, messages, tokenizer)
}

function messagesOf(prompt: string, condition: Condition, backdoor: Backdoor, system: string | undefined) {
  return condition === 'triggered' ? applyTrigger(backdoor, prompt, system) : plainMessages(prompt, system)
}
