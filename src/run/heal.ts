/** Damaged artifacts of a run are found one behind the other, as they are read: each is made again before the run ends. */
import { readdir } from 'node:fs/promises'
import { LabError } from '../errors.ts'
import { type ArtifactDescription, damagedFolder, openStore, type Store } from '../store/artifacts.ts'
import type { Stage } from './stage.ts'

/**
 * Attempts again, with the store opened anew, as long as an attempt, here or in a job, moved artifacts of the stages aside; `found`
 * is told each. One that is damaged a second time is left to the attempt's own outcome. Throws what the last attempt throws.
 */
export async function healing<T>(
  root: string,
  stages: readonly Stage[],
  found: (stage: Stage, artifact: ArtifactDescription) => void,
  attempt: (store: Store) => Promise<T>,
): Promise<T> {
  const healed = new Set<string>()
  for (;;) {
    const before = new Set(await namesAside(root))
    const outcome = await attempt(await openStore(root)).catch((error: unknown) => {
      if (error instanceof LabError && error.code === 'STORE') return error
      throw error
    })
    const now = (await namesAside(root)).filter((name) => !before.has(name))
    const damaged = stages.flatMap((stage) =>
      stage.artifacts
        .filter(({ kind, key }) => now.some((name) => name.startsWith(`${kind}-${key}-`)))
        .map((artifact) => ({ stage, artifact })),
    )
    if (damaged.length === 0 || damaged.some(({ artifact }) => healed.has(artifact.key))) {
      if (outcome instanceof LabError) throw outcome
      return outcome
    }
    for (const { stage, artifact } of damaged) {
      found(stage, artifact)
      healed.add(artifact.key)
    }
  }
}

async function namesAside(root: string): Promise<string[]> {
  return readdir(damagedFolder(root)).catch(() => [])
}
