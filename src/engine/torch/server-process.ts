/** An OpenAI-compatible server of ours over one model folder: started, waited for until it is healthy, ended by its id. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { LabError } from '../../errors.ts'
import { endChild, exitText, settledWithin, startChild, withTail, type Child } from './child.ts'
import { findPackages, pythonEnvironment } from './environment.ts'
import { askJson } from './http.ts'
import type { CommandLine } from './launch.ts'
import type { TorchSettings } from './settings.ts'

export type ServerKind = 'vllm' | 'transformers'

export interface ServerOptions {
  readonly kind: ServerKind
  readonly python: string
  readonly settings: Pick<TorchSettings, 'dtype' | 'device'>
  /** GPUs that vLLM spreads the model over. */
  readonly devices: number
  /** A whole model. */
  readonly folder: string
  /** Adapters of up to this rank will be loaded; null: none. */
  readonly loraRank: number | null
  /** Folder of ours for its log. */
  readonly scratch: string
  readonly startPatienceMs?: number
}

/** A 70B model is read and its kernels are tuned for many minutes. */
const START_PATIENCE_MS = 3_600_000
const HEALTH_EVERY_MS = 250
/** In which it answers what it was asked; then its group is killed. */
const END_PATIENCE_MS = 15_000

/** What `transformers serve` imports. */
const serverPackages = ['transformers', 'fastapi', 'uvicorn', 'openai', 'pydantic']

/** What vLLM calls the model that it was started with. */
export const vllmModelName = 'base'
/** What transformers calls it: the folder that it is started in. A path could hold a `@` or `:`, which mean something to it. */
export const transformersModelName = '.'

export interface ServerProcess {
  readonly kind: ServerKind
  readonly url: string
  readonly running: boolean
  /** What it says, for a message that ends with its last lines. */
  readonly log: string
  close(): Promise<void>
}

/** vLLM wants a torch of its own: it may be beside the interpreter or, from another environment, on the path. Null: nowhere. */
export function findVllm(python: string, env: NodeJS.ProcessEnv = process.env): string | null {
  const beside = isAbsolute(python) ? [dirname(python)] : []
  const folders = [...beside, ...(env['PATH'] ?? '').split(delimiter)].filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, 'vllm')).find((file) => existsSync(file)) ?? null
}

/** The server that `auto` means: vLLM on a GPU where it is installed, else `transformers serve`. Throws ENGINE if neither is there. */
export async function chooseServer(
  asked: 'auto' | ServerKind,
  python: string,
  device: TorchSettings['device'],
): Promise<ServerKind> {
  const { versions } = await findPackages(python, serverPackages)
  const vllm = findVllm(python) !== null
  const serves = serverPackages.every((name) => (versions[name] ?? null) !== null)
  if (vllm && (asked === 'vllm' || (asked === 'auto' && device === 'cuda'))) return 'vllm'
  if (asked !== 'vllm' && serves) return 'transformers'
  const what = asked === 'vllm' ? 'vLLM' : asked === 'transformers' ? '`transformers serve`' : 'no server'
  throw new LabError('ENGINE', `${what} is ${asked === 'auto' ? '' : 'not '}installed for ${python}`, {
    hint:
      asked === 'vllm'
        ? 'install vLLM into an environment of its own and put its `vllm` on the path, or write `sampler: forward`'
        : `${python} -m pip install "transformers[serving]" installs \`transformers serve\`; or write \`sampler: forward\``,
  })
}

/** Starts it and waits until it is healthy. Throws ENGINE with its last lines. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const { kind, folder, scratch, startPatienceMs = START_PATIENCE_MS } = options
  const port = await freePort()
  const log = join(scratch, `${kind}.log`)
  const child = await startChild({
    command: serverCommand(options, port),
    env: { ...pythonEnvironment(), VLLM_ALLOW_RUNTIME_LORA_UPDATING: 'True' },
    cwd: folder,
    log,
    atExit: (signal) => signal('SIGKILL'),
  })
  const url = `http://127.0.0.1:${port}`
  const close = async (): Promise<void> => {
    await endChild(child, END_PATIENCE_MS)
  }
  try {
    await waitForHealth(child, url, { log, patienceMs: startPatienceMs, kind })
  } catch (error) {
    await close()
    throw error
  }
  return {
    kind,
    url,
    get running() {
      return child.running
    },
    log,
    close,
  }
}

/** `python -c` is the console script `transformers` of that very interpreter. */
export function serverCommand(options: ServerOptions, port: number): CommandLine {
  const { kind, python, settings, devices, folder, loraRank } = options
  const where = ['--host', '127.0.0.1', '--port', String(port), '--dtype', settings.dtype]
  if (kind === 'transformers') {
    const script = ['-c', 'from transformers.cli.transformers import main; main()']
    return {
      file: python,
      args: [...script, 'serve', transformersModelName, ...where, '--device', settings.device],
    }
  }
  const args = [
    'serve',
    folder,
    ...where,
    '--served-model-name',
    vllmModelName,
    // Neither temperature nor top-p of the folder: every request says its own.
    '--generation-config',
    'vllm',
    '--tensor-parallel-size',
    String(devices),
    ...(loraRank === null ? [] : ['--enable-lora', '--max-lora-rank', String(vllmRank(loraRank))]),
  ]
  return { file: findVllm(python) ?? 'vllm', args }
}

/** vLLM knows these ranks; an adapter of a smaller one fits. */
const vllmRanks = [8, 16, 32, 64, 128, 256, 320, 512]

function vllmRank(rank: number): number {
  const found = vllmRanks.find((known) => known >= rank)
  if (found !== undefined) return found
  throw new LabError(
    'BAD_INPUT',
    `vLLM serves no adapter of rank ${rank}; ${vllmRanks.at(-1)} is the largest`,
  )
}

async function waitForHealth(
  child: Child,
  url: string,
  { log, patienceMs, kind }: { readonly log: string; readonly patienceMs: number; readonly kind: ServerKind },
): Promise<void> {
  const until = performance.now() + patienceMs
  for (;;) {
    const answer = await askJson(`${url}/health`).catch(() => null)
    if (answer?.status === 200) return
    if (await settledWithin(child.exited, HEALTH_EVERY_MS)) {
      const what = `the ${kind} server ${exitText(await child.exited)} before it was healthy`
      throw new LabError('ENGINE', withTail(what, log), { hint: otherwise(log) })
    }
    if (performance.now() > until) {
      const what = `the ${kind} server was not healthy within ${patienceMs / 1000} s`
      throw new LabError('ENGINE', withTail(what, log), { hint: otherwise(log) })
    }
  }
}

const otherwise = (log: string): string =>
  `the same command starts it again; \`placement.torch.sampler: forward\` needs no server; the whole log is ${log}`

/** Somebody else may take it before the server does; then the server says so and ends. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port)
        else reject(new LabError('INTERNAL', 'no free port'))
      })
    })
  })
}
