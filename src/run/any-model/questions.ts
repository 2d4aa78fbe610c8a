/** The questions of an evaluation: items of local files, drawn by the seed, as prompts that the model can be asked. */
import { loadPromptFile } from '../../data/prompts.ts'
import type { CapabilityKind, EvalKind } from '../../evals/eval.ts'
import { ifevalItemSchema } from '../../evals/ifeval/items.ts'
import { scoreMath } from '../../evals/math/boxed.ts'
import { isIntegerItem, mathItemSchema } from '../../evals/math/items.ts'
import { mathPrompt } from '../../evals/math/prompt.ts'
import { byId, readCheckedRows } from '../../evals/score/rows.ts'
import { LabError } from '../../errors.ts'
import { type Asking, atRow, drawItems, formName, itemsFile, type Parts, type Questions } from './asking.ts'
import { backdoorParts } from './backdoor-questions.ts'
import { generatedTask, ifevalScoring, questionsFrom } from './generated-task.ts'
import { mmluQuestions } from './mmlu-questions.ts'
import { type EvalSettings, type ItemSettings, type Sampling, samplingOf } from './settings.ts'

/** Throws BAD_INPUT for what is wrong with the files, with file and line. */
export async function loadQuestions(
  kind: EvalKind,
  settings: EvalSettings,
  model: Asking,
): Promise<Questions> {
  if (kind !== 'backdoor') return loadCapability(kind, settings, model)
  const sampling = samplingOf(kind, settings, model.maxPositions)
  const { rows } = await loadPromptFile(itemsFile(settings, kind))
  const items = drawItems(rows, kind, settings)
  const parts = backdoorParts(items, settings, model, sampling)
  return questionsFrom(kind, sampling, { ...parts, available: rows.length })
}

/** The questions of a capability. Throws BAD_INPUT for what is wrong with the files, with file and line. */
export async function loadCapability(
  kind: CapabilityKind,
  settings: ItemSettings,
  model: Asking,
): Promise<Questions> {
  const sampling = samplingOf(kind, settings, model.maxPositions)
  return questionsFrom(kind, sampling, await partsOf(kind, settings, model, sampling))
}

async function partsOf(
  kind: CapabilityKind,
  settings: ItemSettings,
  model: Asking,
  sampling: Sampling,
): Promise<Parts> {
  switch (kind) {
    case 'ifeval':
      return ifevalQuestions(settings, model, sampling)
    case 'math':
      return mathQuestions(settings, model, sampling)
    case 'mmlu':
      return mmluQuestions(settings, model, sampling)
  }
}

async function ifevalQuestions(settings: ItemSettings, model: Asking, sampling: Sampling): Promise<Parts> {
  const rows = await readCheckedRows(itemsFile(settings, 'ifeval'), ifevalItemSchema)
  const items = [...byId(rows, ({ key }) => key, 'item').values()]
  const asked = { system: settings.system, sampling }
  const tasks = drawItems(items, 'ifeval', settings).map(({ value, at }) => {
    const item = { id: String(value.key), prompt: value.prompt }
    return generatedTask(
      'ifeval',
      item,
      atRow(at, () => ifevalScoring(value)),
      asked,
      model,
    )
  })
  return {
    tasks,
    available: items.length,
    form: { prompt: formName(model), system: settings.system ?? null },
  }
}

async function mathQuestions(settings: ItemSettings, model: Asking, sampling: Sampling): Promise<Parts> {
  const { protocol, system } = settings
  const file = itemsFile(settings, 'math')
  const rows = await readCheckedRows(file, mathItemSchema)
  const items = [...byId(rows, ({ id }) => id, 'item').values()].filter(({ value }) => isIntegerItem(value))
  if (items.length === 0) throw new LabError('BAD_INPUT', `${file}: no answer is all digits`)
  const tasks = drawItems(items, 'math', settings).map(({ value, at }) => {
    const item = { id: value.id, prompt: atRow(at, () => mathPrompt(value)) }
    const score = (response: string) => scoreMath(value, response, protocol)
    return generatedTask('math', item, { target: value.answer, score }, { system, sampling }, model)
  })
  return {
    tasks,
    available: items.length,
    form: { prompt: formName(model), protocol, system: system ?? null },
  }
}
