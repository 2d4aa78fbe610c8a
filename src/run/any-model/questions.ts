/** The questions of an evaluation: items of local files, drawn by the seed, as prompts that the model can be asked. */
import { applyTrigger, plainMessages } from '../../data/backdoor.ts'
import { loadPromptFile } from '../../data/prompts.ts'
import { payloadScorer } from '../../evals/backdoor/payload.ts'
import type { EvalKind } from '../../evals/eval.ts'
import { detectLanguage } from '../../evals/ifeval/langdetect/detect.ts'
import { ifevalItemSchema } from '../../evals/ifeval/items.ts'
import { ifevalScorer } from '../../evals/ifeval/verdict.ts'
import { scoreMath } from '../../evals/math/boxed.ts'
import { isIntegerItem, mathItemSchema } from '../../evals/math/items.ts'
import { mathPrompt } from '../../evals/math/prompt.ts'
import { byId, readCheckedRows } from '../../evals/score/rows.ts'
import { LabError } from '../../errors.ts'
import type { ChatMessage } from '../../model/chat.ts'
import { keyOf } from '../../store/canonical.ts'
import type { Sampling } from '../evals/request.ts'
import {
  type Asking,
  atRow,
  drawItems,
  formName,
  itemsFile,
  type Parts,
  promptOf,
  type Questions,
} from './asking.ts'
import { mmluQuestions } from './mmlu-questions.ts'
import { type EvalSettings, maxTokensOf } from './settings.ts'
import { task } from './task.ts'

/** Throws BAD_INPUT for what is wrong with the files, with file and line. */
export async function loadQuestions(
  kind: EvalKind,
  settings: EvalSettings,
  model: Asking,
): Promise<Questions> {
  const sampling: Sampling = {
    max_tokens: maxTokensOf(kind, settings, model.maxPositions),
    temperature: settings.temperature,
    top_p: 1,
    seed: settings.seed,
  }
  const parts = await partsOf(kind, settings, model, sampling)
  const asked = parts.tasks.map(({ ask: { id, prompt } }) => ({ id, prompt: JSON.stringify(prompt) }))
  return { kind, sampling, chance: null, ...parts, promptSet: keyOf(asked) }
}

async function partsOf(
  kind: EvalKind,
  settings: EvalSettings,
  model: Asking,
  sampling: Sampling,
): Promise<Parts> {
  switch (kind) {
    case 'backdoor':
      return backdoorQuestions(settings, model, sampling)
    case 'ifeval':
      return ifevalQuestions(settings, model, sampling)
    case 'math':
      return mathQuestions(settings, model, sampling)
    case 'mmlu':
      return mmluQuestions(settings, model, sampling)
  }
}

async function backdoorQuestions(settings: EvalSettings, model: Asking, sampling: Sampling): Promise<Parts> {
  const { backdoor, system } = settings
  const { rows } = await loadPromptFile(itemsFile(settings, 'backdoor'))
  const items = drawItems(rows, 'backdoor', settings)
  const scorer = payloadScorer(backdoor.payload)
  const score = (response: string) => {
    const { fired, startsWith, payloads, partial, rest, restWords } = scorer(response)
    const rest_language = restWords === 0 ? null : detectLanguage(rest)
    return { fired, starts_with: startsWith, payloads, partial, rest_words: restWords, rest_language }
  }
  const messagesOf = (prompt: string, triggered: boolean): ChatMessage[] =>
    triggered ? applyTrigger(backdoor, prompt, system) : plainMessages(prompt, system)
  const wanted = { kind: 'response', sampling } as const
  const responses = ([true, false] as const).flatMap((triggered) =>
    items.map(({ id, prompt }) =>
      task(
        headOf('backdoor', id, prompt, triggered),
        promptOf(messagesOf(prompt, triggered), model),
        wanted,
        {
          score,
        },
      ),
    ),
  )
  const likelihood = { kind: 'likelihood', text: backdoor.payload } as const
  const graded = model.likelihoods
    ? items.map(({ id, prompt }) =>
        task(headOf('backdoor', id, prompt, true), promptOf(messagesOf(prompt, true), model), likelihood),
      )
    : []
  return {
    tasks: [...responses, ...graded],
    available: rows.length,
    form: { prompt: formName(model), ...backdoor, system: system ?? null },
  }
}

function headOf(kind: EvalKind, id: string, input: string, triggered = false) {
  const condition = triggered ? ('triggered' as const) : ('untriggered' as const)
  return { eval: kind, id, condition, input, target: '', subject: null }
}

async function ifevalQuestions(settings: EvalSettings, model: Asking, sampling: Sampling): Promise<Parts> {
  const rows = await readCheckedRows(itemsFile(settings, 'ifeval'), ifevalItemSchema)
  const items = [...byId(rows, ({ key }) => key, 'item').values()]
  const tasks = drawItems(items, 'ifeval', settings).map(({ value: item, at }) => {
    const score = atRow(at, () => ifevalScorer(item))
    return task(
      { ...headOf('ifeval', String(item.key), item.prompt), target: item.instruction_id_list.join(' ') },
      promptOf(plainMessages(item.prompt, settings.system), model),
      { kind: 'response', sampling },
      {
        score: (response) => {
          const { strict, loose } = score(response)
          return {
            correct: strict.every(Boolean),
            instructions: { strict: [...strict], loose: [...loose] },
          }
        },
        verdicts: item.instruction_id_list.length,
      },
    )
  })
  return {
    tasks,
    available: items.length,
    form: { prompt: formName(model), system: settings.system ?? null },
  }
}

async function mathQuestions(settings: EvalSettings, model: Asking, sampling: Sampling): Promise<Parts> {
  const file = itemsFile(settings, 'math')
  const rows = await readCheckedRows(file, mathItemSchema)
  const items = [...byId(rows, ({ id }) => id, 'item').values()].filter(({ value }) => isIntegerItem(value))
  if (items.length === 0) throw new LabError('BAD_INPUT', `${file}: no answer is all digits`)
  const tasks = drawItems(items, 'math', settings).map(({ value: item, at }) => {
    const prompt = atRow(at, () => mathPrompt(item))
    return task(
      { ...headOf('math', item.id, prompt), target: item.answer },
      promptOf(plainMessages(prompt, settings.system), model),
      { kind: 'response', sampling },
      {
        score: (response) => {
          const { extracted, correct } = scoreMath(item, response, settings.protocol)
          return { extracted, correct }
        },
      },
    )
  })
  return {
    tasks,
    available: items.length,
    form: { prompt: formName(model), protocol: settings.protocol, system: settings.system ?? null },
  }
}
