/** The journal: whole lines count, a cut one does not, and what another try may mend is asked again. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openJournal } from './journal.ts'
import { type EvalRecord, recordId } from '../../evals/record.ts'

const dir = mkdtempSync(join(tmpdir(), 'journal-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const head = { eval: 'math', condition: 'untriggered', asked: 'response', input: 'i', target: '7' } as const
const more = { subject: null, rendered: 'r' } as const
const scored = (id: string): EvalRecord => ({
  ...head,
  ...more,
  id,
  status: 'scored',
  response: 'a\u2028b\r\nc',
  finish: 'stop',
  tokens: { prompt: 3, completion: 2 },
})
const failed = (id: string, again: boolean): EvalRecord => {
  return { ...head, ...more, id, status: 'failed', error: 'timeout', again }
}

test('goes on after what was written, without a cut line and without errors that may pass', async () => {
  const file = join(dir, 'samples.jsonl')
  const first = await openJournal(file)
  await first.add([scored('1'), failed('2', true), failed('3', false), scored('4')])
  await first.close()
  const whole = readFileSync(file, 'utf8')
  writeFileSync(file, whole.slice(0, -9))

  const second = await openJournal(file)
  const left = [scored('1'), failed('3', false)]
  expect([...second.done.values()]).toEqual(left)
  await second.add([scored('4')])
  expect(second.done.has(recordId(scored('4')))).toBe(true)
  await second.close()
  const lines = readFileSync(file, 'utf8')
  expect(
    lines
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([...left, scored('4')])
  // Read or new: the same keys in the same order.
  expect(lines.split('\n')[0]).toBe(lines.split('\n')[2]?.replace('"4"', '"1"'))
})

const now = (record: EvalRecord): EvalRecord => ({ ...record, target: record.id === '2' ? '8' : '7' })

test('what was written is made anew by `now`, at once and in the file; it is told how many are others', async () => {
  const file = join(dir, 'anew.jsonl')
  const first = await openJournal(file)
  await first.add([scored('1'), scored('2')])
  await first.close()
  const second = await openJournal(file, now)
  await second.close()
  expect(second.changed).toBe(1)
  expect([...second.done.values()]).toEqual([scored('1'), now(scored('2'))])
  const third = await openJournal(file, now)
  await third.close()
  expect([third.changed, [...third.done.values()]]).toEqual([0, [...second.done.values()]])
})

test('a line that is no record is told with its place', async () => {
  const file = join(dir, 'damaged.jsonl')
  writeFileSync(file, `${JSON.stringify(scored('1'))}\n{"eval": "math"}\n`)
  await expect(openJournal(file)).rejects.toMatchObject({ code: 'STORE', at: { file, line: 2, col: 1 } })
})
