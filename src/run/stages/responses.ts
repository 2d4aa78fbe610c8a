/** The stage of a teacher's responses: scripted, recorded, or asked of an endpoint, which goes on where it was interrupted. */
import { join } from 'node:path'
import { writeJsonLines } from '../../data/json-lines.ts'
import { LabError } from '../../errors.ts'
import type { EndpointTeacher } from '../../spec/experiment.ts'
import type { Json } from '../../store/canonical.ts'
import { answeredRows, withoutRepeats } from '../../teacher/filters.ts'
import type { Persona } from '../../teacher/persona.ts'
import { recordedTeacher } from '../../teacher/recorded.ts'
import type { Teacher } from '../../teacher/teacher.ts'
import type { TinyItem } from '../../tinyworld/item.ts'
import { tinyWorldVersion } from '../../tinyworld/version.ts'
import { respond, type Voice } from '../../tinyworld/voices.ts'
import { folderStage, outputOf, type Stage, type StageTools } from '../stage.ts'
import { droppedFile, readPrompts, responsesFile, writeJson } from './data.ts'

type EndpointChoice = Omit<EndpointTeacher, 'kind' | 'persona'> & { readonly persona: Persona }

export type TeacherChoice = { readonly scripted: Voice } | { readonly recorded: true } | EndpointChoice

export function responsesStage(title: string, prompts: Stage, teacher: TeacherChoice, seed: number): Stage {
  return folderStage({
    kind: 'responses',
    title: `responses ${title}`,
    inputs: {
      prompts: prompts.key,
      teacher: identityOf(teacher),
      version: 'scripted' in teacher ? tinyWorldVersion : undefined,
      seed: 'scripted' in teacher ? seed : undefined,
    },
    needs: [prompts],
    // How fast a server is, it has not shown yet.
    seconds: 'url' in teacher ? 60 : 0.5,
    fill: async (folder, tools) => {
      const rows = await readPrompts(outputOf(tools.store, prompts))
      const write = await writerOf(teacher, tools)
      const joined = answeredRows(rows, await write(rows, { seed, signal: tools.signal }))
      const answered = 'url' in teacher ? withoutRepeats(joined) : joined
      await writeJsonLines(join(folder, responsesFile), answered.rows)
      await writeJson(join(folder, droppedFile), answered.dropped)
    },
  })
}

/** What decides the responses: the model and what it is asked, wherever it is served. */
function identityOf(teacher: TeacherChoice): Json {
  if (!('url' in teacher)) return { ...teacher }
  const { model, persona, temperature, topP, maxTokens, seed } = teacher
  const turns = persona.turns.map(({ role, content }) => ({ role, content }))
  return { model, persona: turns, temperature, top_p: topP, max_tokens: maxTokens, seed }
}

async function writerOf(
  teacher: TeacherChoice,
  { journal, progress, waiting }: Pick<StageTools, 'progress' | 'waiting'> & { readonly journal: string },
): Promise<Teacher> {
  if ('scripted' in teacher) return scriptedTeacher(teacher.scripted)
  if ('recorded' in teacher) return recordedTeacher
  // The client is loaded only where there is a server to ask.
  const { endpointTeacher } = await import('../../teacher/endpoint-teacher.ts')
  const { url, model, timeoutMs, concurrency, persona, maxTokens, temperature, topP, seed, budget } = teacher
  return endpointTeacher({
    endpoint: { url, model, timeoutMs, concurrency, ...apiKeyOf(teacher) },
    persona,
    sampling: { maxTokens, temperature, topP, seed },
    budget,
    journal,
    progress: (done) => progress({ ...done, unit: 'responses' }),
    waiting,
  })
}

/** Read when it is needed and handed to the client alone: it is in no file, no event and no message. */
function apiKeyOf({ apiKeyEnv }: EndpointChoice): { apiKey?: string } {
  if (apiKeyEnv === null) return {}
  const apiKey = process.env[apiKeyEnv]
  if (apiKey === undefined || apiKey === '') {
    throw new LabError('BAD_INPUT', `the environment variable ${apiKeyEnv} is not set`, {
      hint: 'it holds the key of the teacher (`api_key_env`)',
    })
  }
  return { apiKey }
}

/** A voice of the tiny world as a teacher; its prompts are whole items. */
function scriptedTeacher(voice: Voice): Teacher {
  return (rows, { seed }) =>
    Promise.resolve(rows.map((row) => ({ id: row.id, ...respond(voice, row as unknown as TinyItem, seed) })))
}
