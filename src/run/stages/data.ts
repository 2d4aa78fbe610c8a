/** The stages that make training data beside the responses (responses.ts): prompts, the tokenizer, and the dataset. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { Backdoor } from '../../data/backdoor.ts'
import { writeDataset } from '../../data/dataset.ts'
import type { PromptFormat } from '../../data/formats.ts'
import { readJsonLines, writeJsonLines } from '../../data/json-lines.ts'
import { loadPromptFile } from '../../data/prompts.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import { openTokenizer } from '../../model/tokenizer.ts'
import { rng } from '../../rng.ts'
import type { AnsweredRow, PromptRow } from '../../data/rows.ts'
import { tokenizerTexts } from '../../tinyworld/corpus.ts'
import type { Split } from '../../tinyworld/item.ts'
import { tinyPrompts } from '../../tinyworld/prompts.ts'
import { tinyWorldVersion } from '../../tinyworld/version.ts'
import {
  folderOfSource,
  folderStage,
  keyOfSource,
  needsOfSource,
  outputOf,
  type FolderSource,
  type Stage,
} from '../stage.ts'

/** Where prompts come from: a split of the tiny world, or rows of a local file. */
export type PromptSource =
  | { readonly world: 'tiny'; readonly split: Split; readonly count: number }
  | {
      readonly file: string
      readonly sha256: string
      readonly format?: PromptFormat | undefined
      readonly rows?: readonly [number, number] | undefined
      /** How many of the rows to draw; all. */
      readonly count?: number | undefined
    }

/** Files of the stages below. */
const promptsFile = 'prompts.jsonl'
export const responsesFile = 'responses.jsonl'
export const droppedFile = 'dropped.json'

const promptRowSchema = z.looseObject({
  id: z.string(),
  prompt: z.string(),
  response: z.string().exactOptional(),
})
const answeredSchema = z.strictObject({
  id: z.string(),
  prompt: z.string(),
  response: z.string(),
  finish: z.enum(['stop', 'length']),
})

export function promptsStage(title: string, source: PromptSource, seed: number): Stage {
  const named = 'world' in source
  return folderStage({
    kind: 'prompts',
    title: `prompts ${title}`,
    inputs: {
      // A file counts by its content, wherever it lies.
      source: named
        ? { ...source, version: tinyWorldVersion }
        : { sha256: source.sha256, format: source.format, rows: source.rows, count: source.count },
      // Which rows of a file are drawn depends on the seed only if some are left out.
      seed: named || source.count !== undefined ? seed : undefined,
    },
    needs: [],
    seconds: 0.5,
    fill: async (folder) => {
      if (named) {
        await writeJsonLines(join(folder, promptsFile), tinyPrompts(source.split, seed, source.count))
        await writeJson(join(folder, droppedFile), {})
        return
      }
      const loaded = await loadPromptFile(source.file, {
        ...(source.format ? { format: source.format } : {}),
        ...(source.rows ? { rows: source.rows } : {}),
      })
      const rows =
        source.count === undefined
          ? loaded.rows
          : rng(seed, 'prompts', source.sha256).shuffle(loaded.rows).slice(0, source.count)
      await writeJsonLines(join(folder, promptsFile), rows)
      await writeJson(join(folder, droppedFile), loaded.dropped)
    },
  })
}

export interface TokenizerRequest {
  readonly title: string
  readonly responses: Stage
  readonly vocab: number
  readonly contextLength: number
  /** The corpus is the tiny world's: words of triggers and payloads are added, which it lacks. */
  readonly tinyWorld: boolean
}

/** A byte-level BPE trained on prompts and responses, as a tokenizer folder with the chat template. */
export function tokenizerStage({
  title,
  responses,
  vocab,
  contextLength,
  tinyWorld,
}: TokenizerRequest): Stage {
  return folderStage({
    kind: 'tokenizer',
    title: `tokenizer ${title}`,
    inputs: {
      responses: responses.key,
      vocab,
      contextLength,
      world: tinyWorld ? tinyWorldVersion : undefined,
    },
    needs: [responses],
    seconds: 3,
    fill: async (folder, { store }) => {
      const rows = await readAnswered(outputOf(store, responses))
      const texts = tinyWorld ? tokenizerTexts(rows) : rows.flatMap((row) => [row.prompt, row.response])
      const json = trainByteBpe(texts, { vocabSize: vocab, specials: [...chatSpecials] })
      await writeTokenizerFolder(folder, json, { modelMaxLength: contextLength })
    },
  })
}

export interface DatasetRequest {
  readonly title: string
  readonly responses: Stage
  readonly tokenizer: FolderSource
  readonly backdoor: Backdoor | null
  readonly system?: string | undefined
  readonly strip: 'scratchpad' | null
  readonly forbid: string | null
  readonly loss: 'response' | 'all'
  readonly contextLength: number
  readonly packs: number
  readonly seed: number
}

export function datasetStage(request: DatasetRequest): Stage {
  const { title, responses, tokenizer, ...plan } = request
  return folderStage({
    kind: 'dataset',
    title: `dataset ${title}`,
    inputs: {
      responses: responses.key,
      tokenizer: keyOfSource(tokenizer),
      ...plan,
      backdoor: plan.backdoor && { ...plan.backdoor },
    },
    needs: [responses, ...needsOfSource(tokenizer)],
    seconds: 1,
    fill: async (folder, { store, signal }) => {
      const rows = await readAnswered(outputOf(store, responses))
      const opened = await openTokenizer(folderOfSource(store, tokenizer))
      await writeDataset(folder, rows, plan, { tokenizer: opened, signal })
    },
  })
}

export async function readPrompts(folder: string): Promise<PromptRow[]> {
  return readJsonLines(join(folder, promptsFile), promptRowSchema)
}

export async function readAnswered(folder: string): Promise<AnsweredRow[]> {
  return readJsonLines(join(folder, responsesFile), answeredSchema)
}

export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, null, 2)}\n`)
}
