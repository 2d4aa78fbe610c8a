/** The personas that an experiment's teachers speak in, read once: their content is part of the keys of responses. */
import type { Cell, ResolvedData, Teacher } from '../../spec/experiment.ts'
import { loadPersona, type Persona, type PersonaSource } from '../../teacher/persona.ts'

export const personaKey = (source: PersonaSource): string =>
  typeof source === 'string' ? source : source.file

/** By name or absolute path. Throws BAD_INPUT for one that cannot be read. */
export async function loadPersonas(cells: readonly Cell[]): Promise<Map<string, Persona>> {
  const personas = new Map<string, Persona>()
  for (const teacher of cells.flatMap(teachersOf)) {
    if (teacher.kind !== 'endpoint') continue
    const key = personaKey(teacher.persona)
    if (!personas.has(key)) personas.set(key, await loadPersona(teacher.persona))
  }
  return personas
}

function teachersOf({ base, organism, chain }: Cell): Teacher[] {
  const sets: (ResolvedData | null)[] = [
    organism.data,
    base.kind === 'pretrained' && base.corpus.kind === 'prompts' ? base.corpus : null,
    ...chain.map(({ data }) => (data.kind === 'prompts' ? data : null)),
  ]
  return sets.flatMap((data) => (data === null ? [] : [data.teacher]))
}
