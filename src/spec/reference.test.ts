/** docs/experiment.schema.json and the tables in docs/experiment-file.md are those of the schema (`vitest run -u` renews them). */
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { expand } from './expand.ts'
import { parseExperiment } from './load.ts'
import { experimentJsonSchema, referenceTables } from './reference.ts'

test('docs/experiment.schema.json is current', async () => {
  const schema = experimentJsonSchema()
  const written: unknown = JSON.parse(
    await readFile('docs/experiment.schema.json', 'utf8').catch(() => 'null'),
  )
  // The formatter may lay it out otherwise; only what it says counts.
  if (isDeepStrictEqual(written, JSON.parse(JSON.stringify(schema)))) return
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
    '../../docs/experiment.schema.json',
  )
})

test('docs/experiment-file.md has the current tables', async () => {
  const page = await readFile('docs/experiment-file.md', 'utf8')
  const begin = '<!-- made from the schema: begin -->\n'
  const end = '<!-- made from the schema: end -->\n'
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  expect(after).toBeDefined()
  await expect(`${before}${begin}\n${referenceTables()}\n\n${end}${after}`).toMatchFileSnapshot(
    '../../docs/experiment-file.md',
  )
})

test('the JSON Schema accepts the examples and refuses an unknown key', async () => {
  const validate = new Ajv2020({ strict: false }).compile(experimentJsonSchema())
  for (const name of ['laptop', 'smoke', 'alpaca']) {
    const document = parse(await readFile(`examples/${name}.yaml`, 'utf8')) as Record<string, unknown>
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true)
    expect(validate({ ...document, nmae: 'x' })).toBe(false)
    expect(validate({ ...document, evals: {} })).toBe(false)
    const placed = (evals: unknown): unknown => ({ ...document, placement: { evals } })
    expect(validate(placed({ slurm: null, torch: { dtype: null, processes: 4 } }))).toBe(true)
    expect(validate(placed({ torch: { processes: 0 } }))).toBe(false)
  }
})

test('the example of docs/experiment-file.md is an experiment', async () => {
  const page = await readFile('docs/experiment-file.md', 'utf8')
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
  const cells = expand(await parseExperiment(example, 'docs/experiment-file.md'))
  expect(cells.map(({ id }) => id)).toContain('direct/depirate/lr=4e-4/seed=1')
})
