/** What a terminal shows: a download that is whole gives the live line to what comes after, and a reason is told once. */
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test, vi } from 'vitest'
import { createTerminal } from './terminal.ts'

test('after a download the progress of stages is shown', async () => {
  let text = ''
  const stream = new PassThrough({ encoding: 'utf8' }).on('data', (chunk: string) => (text += chunk))
  const terminal = createTerminal(
    Object.assign(stream, { isTTY: true, columns: 120 }) as unknown as NodeJS.WriteStream,
  )
  const show = (title: string, done: number, unit: 'MB' | 'rows'): void =>
    terminal.show({ type: 'progress', title, progress: { done, total: 3, unit } })
  show('download a/b', 1, 'MB')
  show('download a/b', 3, 'MB')
  expect(text).toContain('download a/b  1/3 MB')
  await vi.waitFor(() => {
    show('dataset direct', 1, 'rows')
    expect(text).toContain('dataset direct  1/3 rows')
  })
})

test.each([
  ['a terminal', true],
  ['a file', false],
])('%s: the reason that blocks many stages stands once, with how many more there are', (_, isTTY) => {
  let text = ''
  const stream = new PassThrough({ encoding: 'utf8' }).on('data', (chunk: string) => (text += chunk))
  const terminal = createTerminal(
    Object.assign(stream, { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream,
  )
  const block = (title: string, why: string): void =>
    terminal.show({ type: 'stage', state: 'blocked', kind: 'train', key: 'k', title, why })
  for (let i = 0; i < 24; i++) block(`train pirate ${i}`, 'the backdoor is not in: 3 of 128\nmore of it')
  block('train hhh', 'the backdoor is not in: 5 of 128')
  for (let i = 0; i < 2; i++) block(`evaluate hhh ${i}`, 'the backdoor is not in: 5 of 128')
  terminal.finish()
  terminal.finish()
  expect(stripVTControlCharacters(text)).toBe(
    [
      '– train pirate 0: blocked, the backdoor is not in: 3 of 128',
      '– train hhh: blocked, the backdoor is not in: 5 of 128',
      '– 23 more stages are blocked for the same reason as train pirate 0',
      '– 2 more stages are blocked for the same reason as train hhh',
      '',
    ].join('\n'),
  )
})
