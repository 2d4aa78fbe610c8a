/** Where the stages of a section of the experiment file run. */
import type { TorchSettings } from '../engine/torch/settings.ts'
import type { Section } from './placement-schema.ts'
import type { ExperimentSpec } from './schema.ts'
import type { SlurmPlacement } from './slurm-schema.ts'
import { resolveTorch } from './torch-schema.ts'

export interface Placement {
  readonly torch: TorchSettings
  /** Null: on this machine. */
  readonly slurm: SlurmPlacement | null
}

/** That of the section, or the common one where it has none. */
export function placementFor(
  { placement = {} }: Pick<ExperimentSpec, 'placement'>,
  section: Section,
): Placement {
  const { torch, slurm } = placement[section] ?? placement
  return { torch: resolveTorch(torch), slurm: slurm ?? null }
}
