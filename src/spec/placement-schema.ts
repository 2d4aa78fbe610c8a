/** Schema of `placement`: where and how trainings and evaluations run. */
import { z } from 'zod'
import { slurmSchema } from './slurm-schema.ts'
import { torchSchema } from './torch-schema.ts'

/** The sections of the file whose stages compute with a model; each may have a placement of its own. */
export const placedSections = ['bases', 'organisms', 'techniques', 'evals'] as const
export type Section = (typeof placedSections)[number]

/** Read after the common keys were laid below it (inherit.ts), so that it is whole. */
export const sectionSchema = z
  .strictObject({
    torch: torchSchema.optional().describe('what differs from `placement.torch`'),
    slurm: slurmSchema.optional().describe('what differs from `placement.slurm`; null: on this machine'),
  })
  .meta({ id: 'section' })

export const placementSchema = z
  .strictObject({
    torch: torchSchema.optional(),
    slurm: slurmSchema.optional(),
    bases: sectionSchema.optional().describe('pretraining, where it runs otherwise than the rest'),
    organisms: sectionSchema.optional().describe('red-team trainings'),
    techniques: sectionSchema.optional().describe('blue-team trainings: `{ torch: { processes: 4 } }`'),
    evals: sectionSchema.optional().describe('all that is asked of a model: evals, and a base as a teacher'),
  } satisfies Record<Section | 'torch' | 'slurm', unknown>)
  .describe('where trainings and evaluations run; this machine')
