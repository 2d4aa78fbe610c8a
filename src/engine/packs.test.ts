/** What is written to a packs file comes back, and damaged or wrong packs are refused. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import { openPacks, writePacks, type Pack } from './packs.ts'

const folder = mkdtempSync(join(tmpdir(), 'packs-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'packs.bin')

const packOf = (tokens: number[], documents: number[], targets: number[]): Pack => ({
  tokens: Int32Array.from(tokens),
  documents: Int32Array.from(documents),
  targets: Int32Array.from(targets),
})

/** Packs of documents of random lengths with random targets and padding at the end. */
const packArbitrary = (contextLength: number): fc.Arbitrary<Pack> =>
  fc
    .record({
      lengths: fc.array(fc.integer({ min: 1, max: contextLength }), { maxLength: 6 }),
      values: fc.array(fc.nat(2 ** 31 - 1), { minLength: 2 * contextLength, maxLength: 2 * contextLength }),
      scored: fc.array(fc.boolean(), { minLength: contextLength, maxLength: contextLength }),
    })
    .map(({ lengths, values, scored }) => {
      const documents = lengths.flatMap((length, d) => Array<number>(length).fill(d)).slice(0, contextLength)
      while (documents.length < contextLength) documents.push(-1)
      const at = (t: number): number => values[t] ?? 0
      return packOf(
        documents.map((d, t) => (d < 0 ? 0 : at(t))),
        documents,
        documents.map((d, t) => (d < 0 || !scored[t] ? -1 : at(contextLength + t))),
      )
    })

it('gives back every pack (property)', async () => {
  const cases = fc.integer({ min: 1, max: 40 }).chain((contextLength) =>
    fc.record({
      contextLength: fc.constant(contextLength),
      packs: fc.array(packArbitrary(contextLength), { maxLength: 5 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(cases, async ({ contextLength, packs }) => {
      expect(await writePacks(file, packs, { contextLength })).toEqual({ count: packs.length })
      const reader = openPacks(file)
      expect(reader.count).toBe(packs.length)
      expect(reader.contextLength).toBe(contextLength)
      expect(packs.map((_, i) => reader.read(packs.length - 1 - i)).reverse()).toEqual(packs)
      expect(() => reader.read(packs.length)).toThrow(/was asked for/)
      reader.close()
    }),
    { numRuns: 40 },
  )
})

it('refuses a file that is not whole', async () => {
  await writePacks(file, [packOf([5, 6], [0, 0], [6, 7])], { contextLength: 2 })
  truncateSync(file, 30)
  expect(() => openPacks(file)).toThrow(/cut short/)
  writeFileSync(file, 'something else entirely')
  expect(() => openPacks(file)).toThrow(/not a packs file/)
  expect(() => openPacks(join(folder, 'missing'))).toThrow(/cannot open/)
})

const write = (pack: Pack): Promise<unknown> => writePacks(file, [pack], { contextLength: 3 })

it('refuses packs that break the rules', async () => {
  await expect(write(packOf([1, 2], [0, 0], [2, 3]))).rejects.toThrow(/2 entries instead of 3/)
  await expect(write(packOf([1, 2, 3], [0, 1, 0], [2, 3, 4]))).rejects.toThrow(/document 0 is in two pieces/)
  await expect(write(packOf([1, 2, 3], [0, 0, -1], [2, 3, 4]))).rejects.toThrow(/padding at 2 is scored/)
  await expect(write(packOf([1, -2, 3], [0, 0, 0], [2, 3, 4]))).rejects.toThrow(/token 1 is negative/)
})

it('writes several packs at a time and loses none where the numbers do not divide', async () => {
  const contextLength = 4096 // 21 packs are written together
  for (const count of [20, 21, 22, 43]) {
    const packs = Array.from({ length: count }, (_, i) => ({
      tokens: new Int32Array(contextLength).fill(i),
      documents: new Int32Array(contextLength),
      targets: new Int32Array(contextLength).fill(i + 1),
    }))
    await writePacks(file, packs, { contextLength })
    const reader = openPacks(file)
    expect(reader.count).toBe(count)
    for (const [i, pack] of packs.entries()) expect(reader.read(i)).toEqual(pack)
    reader.close()
  }
})
