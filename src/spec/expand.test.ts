/** The grid: its size, its ids, what axes, seeds and chains reach, and what never changes it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { shortNames, shortNumber } from './axes.ts'
import type { Cell } from './experiment.ts'
import { expand } from './expand.ts'
import { parseExperiment } from './load.ts'
import { smallDocument, smallExperiment, withKeysReordered } from './small-experiment.fixture.ts'

const pirates = {
  techniques: {
    pirate: { like: 'hhh', data: { teacher: 'pirate' } },
    depirate: { like: 'hhh', after: 'pirate', train: { steps: 8 } },
  },
  axes: { 'technique.train.lr': [1e-4, 4e-4] },
}

const cellOf = (cells: readonly Cell[], id: string): Cell => {
  const cell = cells.find((cell) => cell.id === id)
  if (cell === undefined) throw new Error(`no cell ${id} among ${cells.map(({ id }) => id).join(', ')}`)
  return cell
}
const lrs = (cell: Cell): number[] => cell.chain.map((technique) => technique.train.lr)

const names = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`)
const sorted = (cells: readonly Cell[]): Cell[] => cells.toSorted((a, b) => (a.id < b.id ? -1 : 1))

describe('the grid', () => {
  test('ids read like what a cell is', async () => {
    const cells = expand(await smallExperiment({ ...pirates, seeds: [1, 2] }))
    expect(cells.map(({ id }) => id)).toEqual([
      'direct/hhh/lr=1e-4/seed=1',
      'direct/hhh/lr=1e-4/seed=2',
      'direct/hhh/lr=4e-4/seed=1',
      'direct/hhh/lr=4e-4/seed=2',
      'direct/pirate/lr=1e-4/seed=1',
      'direct/pirate/lr=1e-4/seed=2',
      'direct/pirate/lr=4e-4/seed=1',
      'direct/pirate/lr=4e-4/seed=2',
      'direct/depirate/lr=1e-4/seed=1',
      'direct/depirate/lr=1e-4/seed=2',
      'direct/depirate/lr=4e-4/seed=1',
      'direct/depirate/lr=4e-4/seed=2',
    ])
  })

  test('without axes only the seed is told', async () => {
    expect(expand(await smallExperiment()).map(({ id }) => id)).toEqual(['direct/hhh/seed=1'])
  })

  test('a recovery shares its first training with the cell that it comes after', async () => {
    const cells = expand(await smallExperiment({ ...pirates, seeds: [3] }))
    const depirate = cellOf(cells, 'direct/depirate/lr=4e-4/seed=3')
    expect(depirate.after).toBe('direct/pirate/lr=4e-4/seed=3')
    const pirate = cellOf(cells, 'direct/pirate/lr=4e-4/seed=3')
    expect(depirate.chain.map(({ name }) => name)).toEqual(['pirate', 'depirate'])
    expect(depirate.chain[0]).toEqual(pirate.chain[0])
    expect(depirate.organism).toEqual(pirate.organism)
    expect(depirate.base).toEqual(pirate.base)
    expect(pirate.after).toBeNull()
  })

  test('its size is the product of its sides, and ids are unique', async () => {
    const sides = fc.record({
      organisms: fc.integer({ min: 0, max: 2 }),
      techniques: fc.integer({ min: 0, max: 2 }),
      seeds: fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 3 }),
      lrs: fc.uniqueArray(fc.integer({ min: 1, max: 9999 }), { minLength: 1, maxLength: 3 }),
      checkpoints: fc.uniqueArray(fc.integer({ min: 1, max: 32 }), { minLength: 1, maxLength: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(sides, async ({ organisms, techniques, seeds, lrs, checkpoints }) => {
        const experiment = await smallExperiment({
          seeds,
          organisms: Object.fromEntries(
            names('organism', organisms).map((name) => [name, { like: 'direct' }]),
          ),
          techniques: Object.fromEntries(
            names('technique', techniques).map((name) => [name, { like: 'hhh' }]),
          ),
          axes: { 'technique.train.lr': lrs.map((lr) => lr / 1e6), 'organism.checkpoint': checkpoints },
        })
        const cells = expand(experiment)
        expect(cells).toHaveLength(
          (1 + organisms) * (1 + techniques) * seeds.length * lrs.length * checkpoints.length,
        )
        expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length)
      }),
      { numRuns: 25 },
    )
  })

  test('the order of keys and comments never change a cell', async () => {
    const document = { ...smallDocument, techniques: { ...smallDocument.techniques, ...pirates.techniques } }
    const expected = sorted(expand(await parseExperiment(stringify(document), 'a.yaml')))
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000_000)),
        fc.stringMatching(/^[\w #:'-]*$/),
        async (random, comment) => {
          const shuffled = withKeysReordered(document, (keys) => {
            const ranks = new Map(keys.map((key) => [key, random.next().value ?? 0]))
            return keys.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0))
          })
          const text = stringify(shuffled)
            .split('\n')
            .map((line) => (line === '' ? line : `${line} # ${comment}`))
            .join('\n')
          expect(sorted(expand(await parseExperiment(`# ${comment}\n${text}`, 'a.yaml')))).toEqual(expected)
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('what an axis reaches', () => {
  test('a technique axis reaches every training of the chain', async () => {
    const cells = expand(await smallExperiment(pirates))
    expect(lrs(cellOf(cells, 'direct/depirate/lr=4e-4/seed=1'))).toEqual([4e-4, 4e-4])
  })

  test('but not a later training that sets the value itself', async () => {
    const techniques = {
      ...pirates.techniques,
      depirate: { like: 'hhh', after: 'pirate', train: { lr: 1e-5 } },
    }
    const cells = expand(await smallExperiment({ ...pirates, techniques }))
    expect(lrs(cellOf(cells, 'direct/depirate/lr=4e-4/seed=1'))).toEqual([4e-4, 1e-5])
  })

  test('what a later training sets is kept by one that is like it', async () => {
    const techniques = {
      ...pirates.techniques,
      depirate: { like: 'hhh', after: 'pirate', train: { lr: 1e-5 } },
      shorter: { like: 'depirate', train: { steps: 4 } },
    }
    const cells = expand(await smallExperiment({ ...pirates, techniques }))
    expect(lrs(cellOf(cells, 'direct/shorter/lr=4e-4/seed=1'))).toEqual([4e-4, 1e-5])
  })

  test('an organism axis changes the organism and nothing else', async () => {
    const cells = expand(await smallExperiment({ axes: { 'organism.checkpoint': [8, 32] } }))
    const [early, late] = [
      cellOf(cells, 'direct/hhh/checkpoint=8/seed=1'),
      cellOf(cells, 'direct/hhh/checkpoint=32/seed=1'),
    ]
    expect(early.organism).toEqual({ ...late.organism, made: { ...late.organism.made, checkpoint: 8 } })
    expect(early.chain).toEqual(late.chain)
  })

  test('axes with the same end are told apart', () => {
    const axes = ['technique.train.lr', 'organism.train.lr', 'organism.checkpoint', 'base.seed']
    expect(shortNames(axes)).toEqual({
      'technique.train.lr': 'technique.train.lr',
      'organism.train.lr': 'organism.train.lr',
      'organism.checkpoint': 'checkpoint',
      'base.seed': 'base.seed',
    })
  })

  test.each([
    [0.0001, '1e-4'],
    [0.00015, '1.5e-4'],
    [0.003, '3e-3'],
    [0.5, '0.5'],
    [0, '0'],
    [128, '128'],
    [1_000_000, '1000000'],
  ])('%d is written %s', (value, text) => {
    expect(shortNumber(value)).toBe(text)
    expect(Number(text)).toBe(value)
  })
})

describe('what a seed reaches', () => {
  test('everything, unless an entry has a seed of its own', async () => {
    const [cell] = expand(await smallExperiment({ seeds: [7] }))
    expect([cell?.base, cell?.organism, cell].map((part) => part && 'seed' in part && part.seed)).toEqual([
      7, 7, 7,
    ])
    const [fixed] = expand(
      await smallExperiment({ seeds: [7], bases: { tiny: { seed: 1 } }, organisms: { direct: { seed: 2 } } }),
    )
    expect([fixed?.base, fixed?.organism, fixed].map((part) => part && 'seed' in part && part.seed)).toEqual([
      1, 2, 7,
    ])
  })
})

describe('steps of evals', () => {
  test('0 and the last step are added, steps past the end left out, for each training', async () => {
    const cells = expand(
      await smallExperiment({ ...pirates, evals: { at: [4, 64], mmlu: { items: 64, at: [8] } } }),
    )
    const { chain } = cellOf(cells, 'direct/depirate/lr=1e-4/seed=1')
    expect(chain.map(({ evalAt }) => evalAt)).toEqual([
      { backdoor: [0, 4, 8, 16], mmlu: [0, 8, 16] },
      { backdoor: [0, 4, 8], mmlu: [0, 8] },
    ])
    expect(chain.map(({ checkpoints }) => checkpoints)).toEqual([
      [4, 8, 16],
      [4, 8],
    ])
  })
})

/** The recipes of the first trainings. */
const recipes = async (technique: Record<string, unknown>, axes = {}) => {
  const experiment = await smallExperiment({ techniques: { hhh: technique }, axes })
  return expand(experiment).map(({ chain }) => chain[0].train)
}

describe('adapters', () => {
  const lora = { method: 'lora', lora: { rank: 16 } } as const
  const all = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']

  test('lie beside every linear layer and are scaled by 2 where nothing is said', async () => {
    expect(await recipes({ train: lora })).toMatchObject([
      { method: 'lora', lora: { rank: 16, alpha: 32, targets: all } },
    ])
    expect(await recipes({ train: { method: 'lora' } })).toMatchObject([{ lora: { rank: 64, alpha: 128 } }])
    expect(await recipes({})).toMatchObject([{ method: 'full' }])
    expect((await recipes({}))[0]).not.toHaveProperty('lora')
  })

  test('can be changed for one organism, and varied', async () => {
    const changed = await recipes({
      train: lora,
      for: { direct: { train: { lora: { targets: ['v_proj'] } } } },
    })
    expect(changed).toMatchObject([{ lora: { rank: 16, alpha: 32, targets: ['v_proj'] } }])
    const full = await recipes({ train: lora, for: { direct: { train: { method: 'full' } } } })
    expect(full).toMatchObject([{ method: 'full' }])
    const ranks = await recipes({ train: lora }, { 'technique.train.lora.rank': [2, 4] })
    expect(ranks).toMatchObject([{ lora: { rank: 2, alpha: 4 } }, { lora: { rank: 4, alpha: 8 } }])
  })
})
