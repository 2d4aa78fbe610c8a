/** The end of logs of every kind, one of 1 GB among them. */
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { lastLines } from './last-lines.ts'

const folder = mkdtempSync(join(tmpdir(), 'last-lines-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'log.txt')

it('gives the last lines that say something', () => {
  writeFileSync(file, 'a\n\nb\n  \nc')
  expect(lastLines(file, 2)).toEqual(['b', 'c'])
  expect(lastLines(join(folder, 'nowhere'))).toEqual([])
  expect(lastLines(folder)).toEqual([])
})

it('of a progress bar gives what it drew last, of a long line its beginning, and no control characters', () => {
  writeFileSync(file, `1%\r2%\r\u001b[31m3%\n${'x'.repeat(1000)}\n`)
  expect(lastLines(file, 2)).toEqual([' [31m3%', `${'x'.repeat(300)}...`])
})

it('does not read a log of 1 GB whole', () => {
  // Sparse: whole it would be a gigabyte of zeros, and no string is as long as that.
  writeFileSync(file, '')
  truncateSync(file, 2 ** 30)
  appendFileSync(file, '\nlast words\n')
  const before = process.memoryUsage().arrayBuffers
  expect(lastLines(file)).toEqual(['last words'])
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24)
})
