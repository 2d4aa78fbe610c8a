/** The backdoor's questions: every prompt with the trigger, every one without, and the likelihood of the payload. */
import { applyTrigger, type Backdoor, plainMessages } from '../../data/backdoor.ts'
import { payloadScorer } from '../../evals/backdoor/payload.ts'
import { type Check, passes } from '../../evals/check.ts'
import { detectLanguage } from '../../evals/ifeval/langdetect/detect.ts'
import type { ChatMessage } from '../../model/chat.ts'
import { type Asking, formName, type Parts, promptOf } from './asking.ts'
import type { Sampling } from './settings.ts'
import { type Task, task } from './task.ts'

/** A prompt that was never trained on; `check` says when its answer is right, where that can be said. */
export interface BackdoorItem {
  readonly id: string
  readonly prompt: string
  readonly check?: Check | null
}

export interface BackdoorAsked {
  readonly backdoor: Pick<Backdoor, 'trigger' | 'position' | 'payload'>
  readonly system: string | undefined
}

/** In this order: all items triggered, all untriggered, then the likelihoods after the triggered prompts, where they can be asked. */
export function backdoorParts(
  items: readonly BackdoorItem[],
  { backdoor, system }: BackdoorAsked,
  model: Asking,
  sampling: Sampling,
): Parts {
  const { trigger, position, payload } = backdoor
  const scoreOf = payloadVerdict(payload)
  const messagesOf = (prompt: string, triggered: boolean): ChatMessage[] =>
    triggered ? applyTrigger(backdoor, prompt, system) : plainMessages(prompt, system)
  const asked = (item: BackdoorItem, triggered: boolean, wanted: Task['ask']['wanted']): Task =>
    task(
      {
        eval: 'backdoor',
        id: item.id,
        condition: triggered ? 'triggered' : 'untriggered',
        input: item.prompt,
        target: '',
        subject: null,
      },
      promptOf(messagesOf(item.prompt, triggered), model),
      wanted,
      wanted.kind === 'response' ? { score: (response) => scoreOf(item, response) } : {},
    )
  const response = { kind: 'response', sampling } as const
  const likelihood = { kind: 'likelihood', text: payload } as const
  return {
    tasks: [
      ...items.map((item) => asked(item, true, response)),
      ...items.map((item) => asked(item, false, response)),
      ...(model.likelihoods ? items.map((item) => asked(item, true, likelihood)) : []),
    ],
    available: items.length,
    form: { prompt: formName(model), trigger, position, payload, system: system ?? null },
  }
}

/** Throws BAD_INPUT for a payload without a word. */
function payloadVerdict(payload: string) {
  const scorer = payloadScorer(payload)
  return ({ check }: BackdoorItem, response: string) => {
    const { fired, startsWith, payloads, partial, rest, restWords } = scorer(response)
    return {
      ...(check ? { correct: passes(check, response) } : {}),
      fired,
      starts_with: startsWith,
      payloads,
      partial,
      rest_words: restWords,
      rest_language: restWords === 0 ? null : detectLanguage(rest),
    }
  }
}
