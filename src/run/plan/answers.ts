/** Plans the questions of a data source and a teacher's answers to them. */
import type { ResolvedData } from '../../spec/experiment.ts'
import type { Stage } from '../stage.ts'
import { promptsStage, responsesStage, type PromptSource } from '../stages/data.ts'
import type { PlanContext } from './context.ts'

export function answersTo(context: PlanContext, title: string, data: ResolvedData, seed: number): Stage {
  const prompts = context.shared(promptsStage(title, sourceOf(context, data), seed))
  const teacher =
    data.teacher.kind === 'scripted' ? { scripted: data.teacher.voice } : ({ recorded: true } as const)
  return context.shared(responsesStage(title, prompts, teacher, seed))
}

function sourceOf({ fileHashes }: PlanContext, { prompts, rows }: ResolvedData): PromptSource {
  if (prompts.kind === 'tiny') return { world: 'tiny', split: prompts.split, count: rows ?? 4096 }
  return {
    file: prompts.file,
    sha256: fileHashes.get(prompts.file) ?? '',
    format: prompts.format ?? undefined,
    rows: prompts.rows ?? undefined,
    count: rows ?? undefined,
  }
}
