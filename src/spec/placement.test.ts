/** Placements of sections: laid over the common keys, cleared by null, set on the command line, and refused where processes do not fit. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadExperiment, parseExperiment } from './load.ts'
import { type Placement, placementFor } from './placement.ts'
import { placedSections, type Section } from './placement-schema.ts'
import { SpecError } from './problem.ts'

const text = (placement: string, engine = 'torch'): string => `name: placed
bases: { tiny: { world: tiny, pretrain: { lr: 1e-3, steps: 8 }, engine: ${engine} } }
teachers: { plain: { scripted: plain } }
organisms:
  direct:
    base: tiny
    data: { prompts: tiny/red, teacher: plain }
    backdoor: { trigger: "|T| ", payload: NO }
    train: { lr: 1e-3, steps: 8 }
techniques: { hhh: { data: { prompts: tiny/blue, teacher: plain }, train: { lr: 1e-3, steps: 8 } } }
evals: { at: [0, 8], backdoor: { prompts: 128 } }
placement:
  ${placement}
`
const large = `torch: { processes: 16, dtype: float32, sampler: { server: vllm }, assume: { gpu: h200, training: 0.3 } }
  slurm: { partition: gpu, nodes: 2, gpus: 8, time: 90, directives: { qos: high, exclusive: true } }`

async function placed(
  placement: string,
  set: readonly string[] = [],
): Promise<Readonly<Record<Section, Placement>>> {
  const { spec } = await parseExperiment(text(placement), 'x.yaml', { set })
  const all = placedSections.map((section) => [section, placementFor(spec, section)])
  return Object.fromEntries(all) as Record<Section, Placement>
}

async function refusal(placement: string, set: readonly string[] = [], engine?: string): Promise<string> {
  const error: unknown = await parseExperiment(text(placement, engine), 'x.yaml', { set }).catch(
    (error: unknown) => error,
  )
  if (error instanceof SpecError) return error.render()
  throw new Error('it was accepted')
}

describe('a section', () => {
  test('is the common placement with what it says itself, key by key', async () => {
    const { organisms, techniques, evals } = await placed(`${large}
  techniques: { torch: { processes: 4, assume: { training: 0.2 } }, slurm: { nodes: 1, gpus: 4, directives: { qos: low } } }
  evals: { torch: { processes: 8, dtype: null, sampler: forward }, slurm: { nodes: 1, time: null } }`)
    expect(organisms).toMatchObject({ torch: { processes: 16 }, slurm: { nodes: 2, gpus: 8, time: 90 } })
    expect(techniques.torch).toEqual({
      ...organisms.torch,
      processes: 4,
      assume: { ...organisms.torch.assume, training: 0.2 },
    })
    expect(techniques.slurm).toEqual({
      ...organisms.slurm,
      nodes: 1,
      gpus: 4,
      directives: { qos: 'low', exclusive: true },
    })
    expect(evals.torch).toEqual({ ...organisms.torch, processes: 8, dtype: 'bfloat16', sampler: 'forward' })
    const { time: _, ...untimed } = organisms.slurm ?? {}
    expect(evals.slurm).toEqual({ ...untimed, nodes: 1 })
  })

  test('runs here where its slurm is null, and alone on the cluster where only it has one', async () => {
    const here = await placed(`${large}\n  evals: { torch: { processes: 8 }, slurm: null }`)
    expect(here.evals).toMatchObject({ torch: { processes: 8 }, slurm: null })
    expect(here.organisms.slurm).not.toBeNull()
    const alone = await placed('organisms: { slurm: { gpus: 8 } }')
    expect(placedSections.filter((section) => alone[section].slurm !== null)).toEqual(['organisms'])
  })

  test('can be set on the command line, and taken away', async () => {
    const set = ['placement.techniques.torch.processes=4', 'placement.techniques.slurm.nodes=1']
    const { techniques } = await placed(large, set)
    expect(techniques).toMatchObject({ torch: { processes: 4 }, slurm: { nodes: 1, gpus: 8 } })
    const taken = await placed(large, [...set, 'placement.techniques=null'])
    expect(taken.techniques).toEqual(taken.organisms)
    expect((await placed(large, [...set, 'placement.techniques.slurm=null'])).techniques.slurm).toBeNull()
    expect((await placed(large, [...set, 'placement={}'])).techniques.slurm).toBeNull()
  })

  test('is laid over what the file says whose placement this one copies', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'placement-'))
    afterAll(() => rmSync(dir, { recursive: true }))
    writeFileSync(
      join(dir, 'a.yaml'),
      text(`${large}\n  techniques: { torch: { processes: 4 }, slurm: { nodes: 1 } }`),
    )
    const like = async (placement: string): Promise<Placement> => {
      writeFileSync(join(dir, 'b.yaml'), `like: a.yaml\nname: b\nplacement: ${placement}\n`)
      return placementFor((await loadExperiment(join(dir, 'b.yaml'))).spec, 'techniques')
    }
    expect(await like('{ slurm: { time: 30 } }')).toMatchObject({
      torch: { processes: 4 },
      slurm: { nodes: 1, time: 30 },
    })
    expect(await like('{ techniques: null }')).toMatchObject({
      torch: { processes: 16 },
      slurm: { nodes: 2 },
    })
    expect(await like('null')).toMatchObject({ torch: { processes: 1 }, slurm: null })
  })
})

describe('mistakes are told where they stand', () => {
  const common = 'torch: { processes: 2 }\n  slurm: { gpus: 2 }\n  '
  test.each([
    [
      'techniques: { torch: { proceses: 4 } }',
      'x.yaml:15:26: unknown key `proceses` in placement.techniques.torch\n  did you mean `processes`?',
    ],
    [
      'techniques: { processes: 4 }',
      'x.yaml:15:17: unknown key `processes` in placement.techniques\n  `processes` belongs under `torch`',
    ],
    [
      'technique: { torch: {} }',
      'x.yaml:15:3: unknown key `technique` in placement\n  did you mean `techniques`?',
    ],
    ['evals: { slurm: { time: long } }', 'x.yaml:15:27: placement.evals.slurm.time: such as 90'],
    ['evals: here', 'x.yaml:15:10: placement.evals must be a block'],
    [
      'bases: { torch: { processes: 4 } }',
      'x.yaml:15:32: placement.bases: 4 processes, one a GPU, do not fit nodes x gpus = 1 x 2',
    ],
    [
      'techniques: { slurm: { gpus: 1 } }',
      'x.yaml:13:23: placement.techniques: 2 processes, one a GPU, do not fit nodes x gpus = 1 x 1\n',
    ],
    [
      'organisms: { torch: { processes: 3 }, slurm: { nodes: 2 } }',
      'x.yaml:15:36: placement.organisms: 3 processes cannot be spread evenly over 2 nodes',
    ],
    [
      'techniques: { torch: { device: cpu, attention: flash_attention_2 } }',
      'x.yaml:15:50: placement.techniques.torch.attention: `flash_attention_2` computes on a GPU in bfloat16 only',
    ],
    [
      'techniques: { torch: { attention: flash_attention_2, dtype: float32 } }',
      'x.yaml:15:37: placement.techniques.torch.attention: `flash_attention_2` computes on a GPU in bfloat16 only',
    ],
    [
      'organisms: { slurm: { gpus: 0 } }',
      'x.yaml:15:31: placement.organisms: torch computes on a GPU (`device: cuda`), and its jobs ask for none',
    ],
    [
      'evals: { slurm: { gpus: 0 } }',
      'x.yaml:15:27: placement.evals: torch computes on a GPU (`device: cuda`), and its jobs ask for none',
    ],
  ])('%s', async (own, message) => {
    expect(await refusal(common + own)).toContain(message)
  })

  test('on the command line', async () => {
    expect(
      await refusal(common, [
        'placement.evals.torch.sampler.server=vllm',
        'placement.evals.torch.processes=8',
      ]),
    ).toContain(
      '--set placement.evals.torch.processes=8: placement.evals: 8 processes, one a GPU, do not fit nodes x gpus = 1 x 2',
    )
  })

  test('once, where the common placement is wrong for all', async () => {
    const told = await refusal('torch: { device: gpu }\n  evals: { slurm: { nodes: 1 } }')
    expect(told).toBe(
      'x.yaml:13:20: placement.torch.device must be cuda or cpu, not the text "gpu"\n  did you mean `cpu`?',
    )
  })

  test('also where a section makes wrong what it takes over', async () => {
    const told = await refusal(
      'slurm: { directives: { gres: "gpu:h100:4" } }\n  evals: { slurm: { gpus: 4 } }',
    )
    expect(told).toBe(
      'x.yaml:13:32: placement.evals.slurm.directives.gres: `gres` is written from `gpus` of this block',
    )
  })
})

test('what torch does not use is not refused', async () => {
  const set = ['placement.slurm.gpus=2', 'placement.torch.processes=4']
  expect(await refusal('{}', set)).toBe(
    '--set placement.torch.processes=4: placement: 4 processes, one a GPU, do not fit nodes x gpus = 1 x 2\n  a section may have processes of its own: `placement.bases.torch.processes`',
  )
  const brought = ['{ gpus: 2 }', '{ gpus-per-node: 2 }', '{ gres: "gpu:h100:2" }', '{ exclusive: true }']
  for (const directives of brought) {
    const slurm = `slurm: { directives: ${directives} }`
    await expect(placed(`torch: { processes: 2 }\n  ${slurm}`)).resolves.toBeDefined()
  }
  await expect(placed('slurm: { gpus: 0 }\n  torch: { device: cpu }')).resolves.toBeDefined()
  const elsewhere = 'evals: { slurm: { gpus: 0 }, torch: { sampler: { server: "http://a:1" } } }'
  await expect(placed(`slurm: { gpus: 1 }\n  ${elsewhere}`)).resolves.toBeDefined()
  // A forward process is one; a processor needs no GPU; the embedded engine has no processes.
  const here = [
    'placement.bases.slurm=null',
    'placement.organisms.slurm=null',
    'placement.techniques.slurm=null',
  ]
  await expect(placed('{}', [...set, ...here])).resolves.toBeDefined()
  await expect(placed('{}', [...set, 'placement.torch.device=cpu'])).resolves.toBeDefined()
  await expect(parseExperiment(text('{}', 'embedded'), 'x.yaml', { set })).resolves.toBeDefined()
})
