/** Faults that are injected into one experiment of the torch engine, one after the other: each has one clear message, and the same command goes on. */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loraCount, writeAdapter } from '../../src/model/peft.ts'
import { partsOf } from '../../src/model/weights-of.ts'
import { parseResults } from '../../src/report/results.ts'
import { cli, type CliResult } from '../cli.ts'
import { checkpointOf, peakOf, stepsOf, told, workFolder } from './faults/files.ts'
import { missingTorch } from './python.ts'

const own = resolve(import.meta.dirname, 'faults')
const folder = mkdtempSync(join(tmpdir(), 'torch-faults-'))
const spec = join(own, 'faults.yaml')
const fault = join(folder, 'fault')
const disk = join(folder, 'disk')
const store = join(disk, 'store')
/** The `vllm` of this test before all others. */
const searched = `${folder}:${process.env['PATH'] ?? ''}`
const missing = await missingTorch()
let mounted = false

beforeAll(() => {
  mkdirSync(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', disk], { stdio: 'ignore' })
    mounted = true
  } catch {
    process.stderr.write('no full disk: a file system cannot be mounted here (root on Linux can)\n')
  }
  const vllm = join(folder, 'vllm')
  writeFileSync(vllm, `#!/bin/sh\nexec '${process.execPath}' '${join(own, 'vllm.ts')}' "$@"\n`)
  chmodSync(vllm, 0o755)
})
afterAll(() => {
  if (mounted) execFileSync('umount', [disk])
  rmSync(folder, { recursive: true, force: true })
})

interface Fault {
  /** What happens, to which process, before which step. */
  readonly now?: string
  readonly set?: readonly string[]
  readonly env?: Record<string, string>
  readonly at?: string
}

/** The same command each time, with the fault. */
async function run({ now, set = [], env = {}, at = store }: Fault = {}): Promise<
  CliResult & { peak: number }
> {
  rmSync(fault, { force: true })
  if (now !== undefined) writeFileSync(fault, now)
  let peak = 0
  let watch: NodeJS.Timeout | undefined
  const given = { FAULT: fault, PYTHONPATH: own, PATH: searched, TMPDIR: folder, ...env }
  const args = ['run', spec, '--store', at, '--json', ...set.flatMap((one) => ['--set', one])]
  const done = await cli(args, {
    env: given,
    onStart: (pid) => {
      watch = setInterval(() => (peak = Math.max(peak, peakOf(pid))), 100)
    },
  })
  clearInterval(watch)
  expect(done.stderr).not.toMatch(/internal error|^ {4}at /m)
  return { ...done, peak }
}

/** With exit code 3, and its message once. */
async function failing(how: Fault, message: RegExp): Promise<CliResult & { peak: number }> {
  const failed = await run(how)
  expect(failed.stderr).toMatch(message)
  expect(failed.code).toBe(3)
  expect(failed.stderr.match(/✗/g)).toHaveLength(1)
  return failed
}

describe.skipIf(missing !== null)('one run, its faults one after the other', () => {
  test('no Python', async () => {
    await failing(
      { set: ['placement.torch.python=/nowhere/python'] },
      /the torch engine needs Python: \/nowhere\/python is not there\n.*setup\.sh/,
    )
  })

  test('another version of torch', async () => {
    const metadata = join(folder, 'old', 'torch-2.0.1.dist-info')
    mkdirSync(metadata, { recursive: true })
    writeFileSync(join(metadata, 'METADATA'), 'Metadata-Version: 2.1\nName: torch\nVersion: 2.0.1\n')
    await failing(
      { env: { PYTHONPATH: join(folder, 'old') } },
      /the torch engine needs torch [\d.]+ \(2\.0\.1 is installed\) for .*\n.*setup\.sh installs it/,
    )
  })

  test('out of memory', async () => {
    await failing(
      { now: 'memory 0 1' },
      /✗ pretrain tiny: torch: out of memory while training, step 0: .*\n {2}Lower torch\.micro_batch .*gradient_checkpointing.* The same command goes on from the last saved step; the log is \/.*log\.txt/,
    )
  })

  test('a process that is killed, after a gigabyte of output', async () => {
    const { peak } = await failing(
      { now: 'log 0 105' },
      /✗ pretrain tiny: the training process was killed by SIGKILL without saying why\n\s+\| slurmstepd: error: the last words\n {2}did the system run out of memory\? the same command goes on from the last saved step; the whole log is \/.*log\.txt/,
    )
    expect(statSync(join(workFolder(store), 'log.txt')).size).toBeGreaterThan(2 ** 30)
    expect(peak).toBeGreaterThan(0)
    expect(peak).toBeLessThan(2 ** 30)
    truncateSync(join(workFolder(store), 'log.txt'))
  })

  test('a damaged state is not used, a stale STOP and half an event are no matter; a loss that is no number names its step', async () => {
    const state = join(workFolder(store), 'resume', 'step-100', 'torch-state')
    const [shard] = readdirSync(state).filter((name) => name.endsWith('.distcp'))
    truncateSync(join(state, shard ?? ''), 1000)
    // Of a file system whose clock is hours ahead.
    const stop = join(workFolder(store), 'STOP')
    writeFileSync(stop, '')
    const later = Date.now() / 1000 + 5 * 3600
    utimesSync(stop, later, later)
    appendFileSync(join(workFolder(store), 'events.jsonl'), '{"type": "st')
    await failing(
      { now: 'nan 0 110' },
      /✗ pretrain tiny: torch: step 110: .*nan.*\n.*learning rate.* The same command goes on/i,
    )
    const { events, lastStart } = told(store)
    expect(lastStart).toBe(0)
    expect(events.map(({ message }) => message ?? '').join('\n')).toMatch(
      /step-100 is damaged: torch-state\//,
    )
  })

  test('a full disk', async (context) => {
    if (!mounted) context.skip('a file system cannot be mounted here')
    const filler = join(disk, 'filler')
    await failing(
      { now: 'fill 0 112', env: { FILLER: filler } },
      // Whether its word fits behind what is in the log of events depends on how many bytes its last page has left.
      /✗ pretrain tiny: (torch: the disk is full|the disk of \/.* is full; the training process ended with code 1)[^]*\n {2}.*the same command goes on from the last saved step/i,
    )
    rmSync(filler)
    const { bavail, bsize } = statfsSync(disk)
    // Room for the log, none for a checkpoint.
    execFileSync('fallocate', ['-l', String(bavail * bsize - 1_000_000), filler])
    await failing(
      {},
      /✗ pretrain tiny: torch: the disk is full .*\n {2}Free space.* The same command goes on/,
    )
    expect(existsSync(join(workFolder(store), 'checkpoint-120'))).toBe(false)
    expect(told(store).lastStart).toBe(100)
    rmSync(filler)
  })

  test('a server that dies before it is healthy; the trainings are whole, each step once', async () => {
    await failing(
      { env: { VLLM_DIES: '0' } },
      /✗ backdoor of direct step 4: the vllm server ended with code 1 before it was healthy\n\s+\| CUDA error: .*\n {2}the same command starts it again; .*sampler: forward.*vllm\.log/,
    )
    expect(stepsOf(store, checkpointOf(store, 120))).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
    expect(stepsOf(store, checkpointOf(store, 4))).toEqual([1, 2, 3, 4])
  })

  test('a server that dies half way is started once more; then it is told', async () => {
    await failing(
      { env: { VLLM_DIES: '3' } },
      /✗ backdoor of direct step 4: vllm serve ended twice while it was asked\n(\s+\| CUDA error: .*\n)+ {2}the same command begins this evaluation again; .*vllm\.log/,
    )
  })

  test('a truncated checkpoint is set aside and made again, and the run ends', async () => {
    truncateSync(join(store, 'objects', 'checkpoint', checkpointOf(store, 4), 'model.safetensors'), 1000)
    const last = await run()
    expect(last.stderr).toMatch(
      /✗ backdoor of direct step 4: .*model\.safetensors was changed since it was made \(train direct step 4\)\n/,
    )
    expect(last.stderr).toContain('… train direct step 4: it was damaged and is made again')
    expect(last.code).toBe(0)
    const results = parseResults(JSON.parse(last.stdout))
    expect(results.cells.map(({ status }) => status)).toEqual(['done'])
  })

  test('an adapter without tensors', async () => {
    const adapter = join(folder, 'adapter')
    const made = join(store, 'objects', 'checkpoint', checkpointOf(store, 120))
    mkdirSync(adapter)
    writeFileSync(
      join(adapter, 'adapter_config.json'),
      JSON.stringify({
        peft_type: 'LORA',
        base_model_name_or_path: made,
        r: 4,
        lora_alpha: 8,
        target_modules: ['q_proj'],
      }),
    )
    const header = Buffer.from('{}      ')
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    writeFileSync(join(adapter, 'adapter_model.safetensors'), Buffer.concat([length, header]))
    const base = `bases.tiny={ folder: ${adapter}, engine: torch }`
    const failed = await run({ set: [base] })
    expect(failed.stderr).toBe(
      `${join(adapter, 'adapter_model.safetensors')}: holds no adapter\n  save it again with PEFT, or name the model that it belongs to\n`,
    )
    expect(failed.code).toBe(2)
    const shape = { rank: 1, targets: ['q_proj'], layers: [0] } as const
    const model = (await partsOf(made)).config
    const weights = new Float32Array(loraCount(model, shape)).fill(0.01)
    await writeAdapter(adapter, { config: model, base: made, alpha: 2, weights, ...shape })
    const mended = await cli(['plan', spec, '--store', store, '--set', base], { env: { PATH: searched } })
    expect(mended.code, mended.stderr).toBe(0)
  })
})

describe.skipIf(missing !== null)('of two processes under torchrun', () => {
  test('one that is killed ends the other; who was killed is told, and the same command ends the run', async () => {
    const at = join(folder, 'two')
    const set = [
      'placement.torch.processes=2',
      'bases.tiny.pretrain={ steps: 6, lr: 3e-3, data: { rows: 256 } }',
    ]
    await failing(
      { now: 'kill 1 4', set, at },
      /✗ pretrain tiny: torch: another process of this training ended[^]*\|.*(SIGKILL|exitcode: -9|Signal 9)[^]*The same command goes on/,
    )
    const done = await run({ set, at })
    expect(done.stderr).not.toContain('✗')
    expect(done.code).toBe(0)
  })
})
