/** Schema of `placement`: where and how trainings and evaluations run. */
import { z } from 'zod'
import { slurmSchema } from './slurm-schema.ts'
import { torchSchema } from './torch-schema.ts'

export const placementSchema = z
  .strictObject({ torch: torchSchema.optional(), slurm: slurmSchema.optional() })
  .describe('where trainings and evaluations run; this machine')
