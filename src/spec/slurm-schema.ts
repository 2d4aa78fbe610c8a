/** Schema of `placement.slurm`, which sends the heavy stages to a cluster; nothing of it changes a result. */
import { z } from 'zod'
import { count, text } from './data-schema.ts'

/** One line: what ends a line would begin another directive or command. */
const line = text.max(4096).regex(/^\P{Cc}*$/u, 'this is one line, without control characters')
const word = text
  .max(256)
  .regex(/^[\w.,:@%+/=-]+$/, 'letters, digits and `. , : @ % + / = - _`, without spaces')

/** Directives that the lab writes itself: they decide how a job is found again and resumed. */
const ours = [
  'array',
  'chdir',
  'dependency',
  'error',
  'hold',
  'input',
  'job-name',
  'no-requeue',
  'open-mode',
  'output',
  'parsable',
  'requeue',
  'signal',
  'wait',
  'wrap',
]

/** With these there is no job in the queue where the lab looks for it. */
const jobless = ['clusters', 'help', 'test-only', 'usage', 'version']

/** Directives that have a key of their own. */
const keyed: Readonly<Record<string, string>> = {
  partition: 'partition',
  nodes: 'nodes',
  gres: 'gpus',
  'cpus-per-task': 'cpus',
  mem: 'memory',
  time: 'time',
  account: 'account',
}

const directivesSchema = z
  .record(
    z.string().regex(/^[a-z][a-z0-9-]*$/, "the long name of an option of sbatch, without its dashes: 'qos'"),
    z.union([line, z.number(), z.literal(true)]),
  )
  .default({})
  .describe('more options of sbatch by their long names: `{ qos: high, constraint: a100, exclusive: true }`')

export const slurmSchema = z
  .strictObject({
    partition: word.optional(),
    nodes: count.default(1),
    gpus: z.int().min(0).max(1024).default(0).describe('GPUs a node (`--gres=gpu:N`)'),
    cpus: count.optional().describe('cores (`--cpus-per-task`)'),
    memory: z
      .union([z.string().regex(/^[1-9]\d*[KMGT]?$/, 'such as 64G'), count])
      .optional()
      .describe('memory a node, such as `64G`; a number is in MB'),
    time: z
      .union([
        z
          .string()
          .regex(/^(\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2})$/, 'such as 90 (minutes), 12:00:00 or 2-00:00:00'),
        count,
      ])
      .optional()
      .describe(
        'limit of a job: minutes, `12:00:00` or `2-00:00:00`; a longer stage is queued again and goes on',
      ),
    account: word.optional(),
    max_jobs: z.int().min(1).max(10_000).default(16).describe('jobs in the queue at once'),
    directives: directivesSchema,
    setup: z
      .array(line)
      .max(100)
      .default([])
      .describe('shell lines that the job runs first: `[module load cuda]`; one that fails ends the job'),
  })
  .superRefine(({ directives, ...slurm }, context) => {
    const said = slurm as Readonly<Record<string, unknown>>
    for (const name of Object.keys(directives)) {
      // sbatch takes the beginning of an option's name for the option.
      const isOneOf = (options: readonly string[]): boolean =>
        options.some((option) => option.startsWith(name))
      const own = isOneOf(ours)
      const lost = isOneOf(jobless)
      const key = keyed[name]
      if (!own && !lost && (key === undefined || said[key] === undefined || said[key] === 0)) continue
      const message = own
        ? `\`${name}\` is written by the lab, which finds and resumes its jobs by it`
        : lost
          ? `with \`${name}\` there is no job where the lab looks for it`
          : `\`${name}\` is written from \`${key}\` of this block`
      context.addIssue({ code: 'custom', path: ['directives', name], message })
    }
  })
  .describe('trainings and evaluations become jobs of a Slurm cluster')

export type SlurmPlacement = z.infer<typeof slurmSchema>
