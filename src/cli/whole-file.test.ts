/** Where a named output file ends up: replaced whole, behind its links, or straight through a pipe; never over what is read. */
import { execFileSync } from 'node:child_process'
import { linkSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { refuseOwnInput, writeWhole } from './whole-file.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'whole-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('writeWhole', () => {
  test('a new file, and one that is there: another file takes its place, and nothing stays beside it', async () => {
    const file = join(dir, 'verdicts.jsonl')
    await writeWhole(file, 'one\n')
    const { ino } = statSync(file)
    linkSync(file, join(dir, 'kept'))
    await writeWhole(file, 'two\n')
    expect(readFileSync(file, 'utf8')).toBe('two\n')
    expect(statSync(file).ino).not.toBe(ino)
    expect(readFileSync(join(dir, 'kept'), 'utf8')).toBe('one\n')
    expect(readdirSync(dir).toSorted()).toEqual(['kept', 'verdicts.jsonl'])
  })

  test.each([
    ['that is there', 'old\n'],
    ['that is not there yet', null],
  ])('a link stays one, and the file %s behind it is written', async (_, before) => {
    mkdirSync(join(dir, 'behind'))
    const target = join(dir, 'behind', 'target')
    if (before !== null) writeFileSync(target, before)
    symlinkSync(join('behind', 'target'), join(dir, 'second'))
    symlinkSync('second', join(dir, 'first'))
    await writeWhole(join(dir, 'first'), 'new\n')
    expect(lstatSync(join(dir, 'first')).isSymbolicLink()).toBe(true)
    expect(lstatSync(join(dir, 'second')).isSymbolicLink()).toBe(true)
    expect(readFileSync(target, 'utf8')).toBe('new\n')
    expect(readdirSync(dir).toSorted()).toEqual(['behind', 'first', 'second'])
  })

  test('a pipe, named or behind a link, is written through and stays a pipe', async () => {
    const pipe = join(dir, 'pipe')
    execFileSync('mkfifo', [pipe])
    symlinkSync('pipe', join(dir, 'link'))
    for (const name of ['pipe', 'link']) {
      // Opened for both, so that neither side waits for the other.
      const reader = await open(pipe, 'r+')
      await writeWhole(join(dir, name), `${name}\n`)
      const { buffer, bytesRead } = await reader.read(Buffer.alloc(64))
      await reader.close()
      expect(buffer.subarray(0, bytesRead).toString()).toBe(`${name}\n`)
      expect(lstatSync(pipe).isFIFO()).toBe(true)
    }
    expect(readdirSync(dir).toSorted()).toEqual(['link', 'pipe'])
  })

  test('.gz is gzip, the same bytes each time', async () => {
    const file = join(dir, 'v.jsonl.gz')
    await writeWhole(file, 'row\n'.repeat(1000))
    const first = readFileSync(file)
    expect(gunzipSync(first).toString()).toBe('row\n'.repeat(1000))
    await writeWhole(file, 'row\n'.repeat(1000))
    expect(readFileSync(file).equals(first)).toBe(true)
    // No time, no system (RFC 1952, 2.3.1).
    expect([...first.subarray(4, 8), first[9]]).toEqual([0, 0, 0, 0, 255])
  })

  test.each([
    ['a folder', (at: string) => mkdirSync(at), 'cannot be written'],
    ['a link to itself', (at: string) => symlinkSync(at, at), 'leads nowhere'],
  ])('%s is refused', async (_, make, message) => {
    const out = join(dir, 'out')
    make(out)
    await expect(writeWhole(out, 'x')).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(message) as string,
    })
    expect(readdirSync(dir)).toEqual(['out'])
  })
})

test('what is read is not written: by its own name, a link, or a second name', async () => {
  const input = join(dir, 'answers.jsonl')
  writeFileSync(input, '{}\n')
  writeFileSync(join(dir, 'other'), '')
  symlinkSync('answers.jsonl', join(dir, 'link'))
  linkSync(input, join(dir, 'second'))
  for (const name of ['answers.jsonl', 'link', 'second']) {
    await expect(refuseOwnInput(join(dir, name), [join(dir, 'gone'), input])).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining('one of the files that are read') as string,
    })
  }
  for (const name of ['other', 'new']) await refuseOwnInput(join(dir, name), [input])
  await refuseOwnInput(input, [])
})
