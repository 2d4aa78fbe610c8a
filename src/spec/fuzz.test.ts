/** Whatever somebody types, the loader gives an experiment or a SpecError, never another exception. */
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { expand } from './expand.ts'
import { isBlock } from './inherit.ts'
import { parseExperiment } from './load.ts'
import { SpecError } from './problem.ts'
import { smallDocument } from './small-experiment.fixture.ts'

const laptop = await readFile('examples/laptop.yaml', 'utf8')

async function outcome(text: string): Promise<string> {
  try {
    const experiment = await parseExperiment(text, 'x.yaml')
    return `${expand(experiment).length} cells`
  } catch (error) {
    if (error instanceof SpecError) return error.render()
    throw error
  }
}

test('characters changed in the text', async () => {
  const character = fc.constantFrom(...'\t\n  :-[]{}&*!|>\'"%@`#,?~0aZ<é'.split(''))
  const edit = fc.record({
    at: fc.nat(laptop.length - 1),
    remove: fc.nat(3),
    insert: fc.string({ unit: character, maxLength: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      const text = edits.reduce(
        (t, { at, remove, insert }) => t.slice(0, at) + insert + t.slice(at + remove),
        laptop,
      )
      expect(await outcome(text)).toMatch(/^(x\.yaml:\d+:\d+: |\d+ cells$)/)
    }),
    { numRuns: 60 },
  )
})

test('a value replaced by any other', async () => {
  const paths = pathsOf(smallDocument)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), async (path, value) => {
      expect(await outcome(stringify(replaced(smallDocument, path, value)))).toMatch(
        /^(x\.yaml:\d+:\d+: |\d+ cells$)/,
      )
    }),
    { numRuns: 150 },
  )
})

function pathsOf(value: unknown): string[][] {
  if (!isBlock(value)) return [[]]
  return Object.entries(value).flatMap(([key, child]) => [
    [key],
    ...pathsOf(child).map((path) => [key, ...path]),
  ])
}

function replaced(at: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined || !isBlock(at)) return value
  return { ...at, [key]: replaced(at[key], rest, value) }
}
