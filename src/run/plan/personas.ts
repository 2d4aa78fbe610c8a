/** The personas that an experiment's teachers speak in, read once: their content is part of the keys of responses. */
import { dataOfCell } from '../../spec/cell-data.ts'
import type { Cell } from '../../spec/experiment.ts'
import { loadPersona, type Persona, type PersonaSource } from '../../teacher/persona.ts'

export const personaKey = (source: PersonaSource): string =>
  typeof source === 'string' ? source : source.file

/** By name or absolute path. Throws BAD_INPUT for one that cannot be read. */
export async function loadPersonas(cells: readonly Cell[]): Promise<Map<string, Persona>> {
  const personas = new Map<string, Persona>()
  for (const { teacher } of cells.flatMap(dataOfCell)) {
    if (!('persona' in teacher)) continue
    const key = personaKey(teacher.persona)
    if (!personas.has(key)) personas.set(key, await loadPersona(teacher.persona))
  }
  return personas
}
