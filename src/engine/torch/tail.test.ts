/** Following a log: whatever the pieces it arrives in, lines come whole, once and in order. */
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import { LineTail } from './tail.ts'

const folder = mkdtempSync(join(tmpdir(), 'tail-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function look(tail: LineTail): Promise<string[]> {
  const lines: string[] = []
  for await (const line of tail.lines()) lines.push(line)
  return lines
}

it('gives nothing for a file that is not there yet, and its lines once it is', async () => {
  const file = join(folder, 'late')
  const tail = new LineTail(file)
  expect(await look(tail)).toEqual([])
  writeFileSync(file, 'a\nb')
  expect(await look(tail)).toEqual(['a'])
  appendFileSync(file, 'c\n')
  expect(await look(tail)).toEqual(['bc'])
  await tail.close()
})

it('puts lines together from any pieces, cut inside characters too', async () => {
  const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ''))
  let run = 0
  const property = fc.asyncProperty(
    fc.array(line, { maxLength: 8 }),
    fc.array(fc.nat(40)),
    async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
      const file = join(folder, `pieces-${run++}`)
      const tail = new LineTail(file)
      const seen: string[] = []
      let from = 0
      for (const cut of [...cuts, bytes.length]) {
        appendFileSync(file, bytes.subarray(from, from + cut))
        from += cut
        seen.push(...(await look(tail)))
      }
      await tail.close()
      expect(seen).toEqual(bytes.toString('utf8').split('\n').slice(0, -1))
    },
  )
  await fc.assert(property, { numRuns: 30 })
})

it('reads only what is new of a log of 1 GB', async () => {
  const file = join(folder, 'long')
  writeFileSync(file, '')
  truncateSync(file, 2 ** 30)
  const tail = new LineTail(file, 2 ** 30)
  appendFileSync(file, 'new\n')
  expect(await look(tail)).toEqual(['new'])
  await tail.close()
})

it('refuses a line without an end', async () => {
  const file = join(folder, 'endless')
  writeFileSync(file, Buffer.alloc(17 << 20, 'x'))
  const tail = new LineTail(file)
  await expect(look(tail)).rejects.toMatchObject({ code: 'ENGINE' })
  await tail.close()
})
