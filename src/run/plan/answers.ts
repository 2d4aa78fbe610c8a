/** Plans the questions of a data source and a teacher's answers to them. */
import type { ResolvedData, Teacher } from '../../spec/experiment.ts'
import type { Stage } from '../stage.ts'
import { promptsStage, type PromptSource } from '../stages/data.ts'
import { responsesStage, type TeacherChoice } from '../stages/responses.ts'
import type { PlanContext } from './context.ts'
import { personaKey } from './personas.ts'

export function answersTo(context: PlanContext, title: string, data: ResolvedData, seed: number): Stage {
  const prompts = context.shared(promptsStage(title, sourceOf(context, data), seed))
  return context.shared(responsesStage(title, prompts, choiceOf(context, data.teacher), seed))
}

function choiceOf({ personas }: PlanContext, teacher: Teacher): TeacherChoice {
  switch (teacher.kind) {
    case 'scripted':
      return { scripted: teacher.voice }
    case 'recorded':
      return { recorded: true }
    case 'endpoint': {
      const { kind: _, persona: source, ...endpoint } = teacher
      const persona = personas.get(personaKey(source))
      if (persona === undefined) throw new RangeError(`the persona ${personaKey(source)} was not loaded`)
      return { ...endpoint, persona }
    }
    default:
      return teacher satisfies never
  }
}

function sourceOf({ dataFile }: PlanContext, { prompts, rows }: ResolvedData): PromptSource {
  if (prompts.kind === 'tiny') return { world: 'tiny', split: prompts.split, count: rows ?? 4096 }
  const { file, sha256 } = dataFile(prompts)
  return {
    file,
    sha256,
    format: prompts.format ?? undefined,
    rows: prompts.rows ?? undefined,
    count: rows ?? undefined,
  }
}
