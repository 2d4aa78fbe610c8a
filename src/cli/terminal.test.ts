/** The live line of a terminal: a download that is whole gives it to what comes after. */
import { PassThrough } from 'node:stream'
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
