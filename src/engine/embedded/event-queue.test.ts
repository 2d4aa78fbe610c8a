/** Items come in order, an end lets the rest through, and a failure is seen at once. */
import { expect, it } from 'vitest'
import { EventQueue } from './event-queue.ts'

async function collect(queue: EventQueue<number>, seen: number[]): Promise<void> {
  for await (const item of queue.items()) seen.push(item)
}

it('delivers what was pushed before and during the iteration, then ends', async () => {
  const queue = new EventQueue<number>()
  const seen: number[] = []
  queue.push(1)
  const done = collect(queue, seen)
  setTimeout(() => queue.push(2), 1)
  setTimeout(() => {
    queue.push(3)
    queue.end()
  }, 2)
  await done
  expect(seen).toEqual([1, 2, 3])
})

it('drops what waits when it fails, and wakes a waiting consumer', async () => {
  const queue = new EventQueue<number>()
  queue.push(1)
  queue.fail(new Error('first'))
  queue.fail(new Error('second'))
  const seen: number[] = []
  await expect(collect(queue, seen)).rejects.toThrow('first')
  expect(seen).toEqual([])

  const idle = new EventQueue<number>()
  const waiting = collect(idle, seen)
  setTimeout(() => idle.fail(new Error('late')), 1)
  await expect(waiting).rejects.toThrow('late')
})
