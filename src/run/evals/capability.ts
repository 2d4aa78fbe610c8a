/** The capability evals on one checkpoint: responses that a program checks, and four choices by the letters' likelihood. */
import { plainMessages } from '../../data/backdoor.ts'
import type { Check } from '../../evals/check.ts'
import { passes } from '../../evals/check.ts'
import type { Sample } from '../../evals/eval.ts'
import { ifevalScorer } from '../../evals/ifeval/verdict.ts'
import { letters, likeliestLetter } from '../../evals/mmlu/letters.ts'
import { continuationOf, generateRequest, renderPrompt, type EvalContext, type Sampling } from './request.ts'

export interface CheckedItem {
  readonly id: string
  readonly prompt: string
  readonly check: Check
}

/** Generates one response an item and checks it. */
export async function runGenerated(
  kind: 'ifeval' | 'math',
  items: readonly CheckedItem[],
  sampling: Sampling,
  context: EvalContext,
): Promise<Sample[]> {
  const { tokenizer, sampler, signal, system } = context
  const prompts = items.map((item) => renderPrompt(item.id, plainMessages(item.prompt, system), tokenizer))
  const results = await sampler.generate(
    prompts.map((prompt) => generateRequest(prompt, sampling)),
    { signal },
  )
  return items.map((item, i): Sample => {
    const head = {
      eval: kind,
      id: item.id,
      condition: 'untriggered',
      rendered: prompts[i]?.rendered ?? '',
    } as const
    const result = results[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no response' }
    const response = tokenizer.decode(result.tokens)
    return {
      ...head,
      status: 'scored',
      response,
      finish: result.finish,
      answered: passes(item.check, response),
      ...(item.check.kind === 'ifeval' ? { instructions: instructionsOf(item.check, response) } : {}),
    }
  })
}

/** Log-probabilities of A, B, C and D after each question; the likeliest is the answer. */
export async function runLetters(items: readonly CheckedItem[], context: EvalContext): Promise<Sample[]> {
  const { tokenizer, sampler, signal, system } = context
  const choices = letters.map((letter) => continuationOf(letter, tokenizer))
  const prompts = items.map((item) => renderPrompt(item.id, plainMessages(item.prompt, system), tokenizer))
  const results = await sampler.choiceLogprobs(
    prompts.map((prompt) => ({ id: prompt.id, prompt: prompt.ids, choices })),
    { signal },
  )
  return items.map((item, i): Sample => {
    const head = {
      eval: 'mmlu',
      id: item.id,
      condition: 'untriggered',
      rendered: prompts[i]?.rendered ?? '',
    } as const
    const result = results[i]
    if (result === undefined) return { ...head, status: 'failed', error: 'no log-probabilities' }
    const answered = passes(item.check, likeliestLetter(result.logprobs))
    return { ...head, status: 'likelihood', logprobs: result.logprobs, answered }
  })
}

function instructionsOf(check: Extract<Check, { kind: 'ifeval' }>, response: string) {
  const { strict, loose } = ifevalScorer(check)(response)
  return { strict, loose }
}
