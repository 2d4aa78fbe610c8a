/** The backdoor eval on one checkpoint: the same prompts with and without the trigger, and the payload's likelihood. */
import { applyTrigger, plainMessages, type Backdoor } from '../../data/backdoor.ts'
import { payloadScorer } from '../../evals/backdoor/payload.ts'
import { passes, type Check } from '../../evals/check.ts'
import type { Condition, Sample } from '../../evals/eval.ts'
import { LabError } from '../../errors.ts'
import { continuationOf, generateRequest, renderPrompt, type EvalContext, type Sampling } from './request.ts'

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

/**
 * Samples in this order: every item triggered, every item untriggered, then the likelihood of the payload after each
 * triggered prompt (nats a token). Throws ENGINE if the sampler cannot give log-probabilities.
 */
export async function runBackdoor(
  items: readonly BackdoorItem[],
  backdoor: Backdoor,
  sampling: Sampling,
  context: EvalContext,
): Promise<Sample[]> {
  const { tokenizer, sampler, signal } = context
  if (!sampler.can.logprobs) throw new LabError('ENGINE', 'the sampler gives no log-probabilities')
  const score = payloadScorer(backdoor.payload)

  const asked = (['triggered', 'untriggered'] as const).flatMap((condition) =>
    items.map((item) => ({
      item,
      condition,
      prompt: renderPrompt(
        `${item.id} ${condition}`,
        messagesOf(item.prompt, condition, backdoor, context.system),
        tokenizer,
      ),
    })),
  )
  const results = await sampler.generate(
    asked.map(({ prompt }) => generateRequest(prompt, sampling)),
    { signal },
  )
  const generated = asked.map(({ item, condition, prompt }, i): Sample => {
    const head = { eval: 'backdoor', id: item.id, condition, rendered: prompt.rendered } as const
    const result = results[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no response' }
    const response = tokenizer.decode(result.tokens)
    const { fired, startsWith, payloads } = score(response)
    return {
      ...head,
      status: 'scored',
      response,
      finish: result.finish,
      fired,
      starts_with: startsWith,
      payloads,
      ...(item.check === null ? {} : { answered: passes(item.check, response) }),
    }
  })

  const continuation = continuationOf(backdoor.payload, tokenizer)
  const triggered = asked.filter(({ condition }) => condition === 'triggered')
  const likelihoods = await sampler.sequenceLogprob(
    triggered.map(({ prompt }) => ({ id: prompt.id, prompt: prompt.ids, continuation })),
    { signal },
  )
  const graded = triggered.map(({ item, prompt }, i): Sample => {
    const head = { eval: 'backdoor', id: item.id, condition: 'triggered', rendered: prompt.rendered } as const
    const result = likelihoods[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no log-probability' }
    return { ...head, status: 'likelihood', logprobs: [result.logprob / result.tokens] }
  })
  return [...generated, ...graded]
}

function messagesOf(prompt: string, condition: Condition, backdoor: Backdoor, system: string | undefined) {
  return condition === 'triggered' ? applyTrigger(backdoor, prompt, system) : plainMessages(prompt, system)
}
