/** One user of the device at a time, equal keys together, first come first served. */
import { expect, it } from 'vitest'
import { Lane } from './lane.ts'

/** Notes what is opened and ended. */
function scene() {
  const log: string[] = []
  const lane = new Lane()
  const enter = (key: string, usable = () => true) =>
    lane.enter({
      key,
      open: async () => {
        await Promise.resolve()
        log.push(`open ${key}`)
        return key
      },
      end: async () => {
        await Promise.resolve()
        log.push(`end ${key}`)
      },
      usable,
    })
  return { log, lane, enter }
}

it('keeps an idle value for the next user of its key, and ends it for another key', async () => {
  const { log, lane, enter } = scene()
  await (await enter('a')).leave()
  await (await enter('a')).leave()
  expect(log).toEqual(['open a'])
  const b = await enter('b')
  expect(log).toEqual(['open a', 'end a', 'open b'])
  await b.leave()
  await lane.close()
  expect(log.at(-1)).toBe('end b')
})

it('shares a value in use, and lets nobody of another key in before its last user has left', async () => {
  const { log, enter } = scene()
  const [one, two] = await Promise.all([enter('a'), enter('a')])
  const third = enter('b')
  await one.leave()
  expect(log).toEqual(['open a'])
  await two.leave()
  await third
  expect(log).toEqual(['open a', 'end a', 'open b'])
})

it('makes an unusable value again', async () => {
  const { log, enter } = scene()
  let alive = true
  await (await enter('a', () => alive)).leave()
  alive = false
  await enter('a')
  expect(log).toEqual(['open a', 'end a', 'open a'])
})

it('goes on after an opening that failed', async () => {
  const { lane, enter } = scene()
  const failing = lane.enter({
    key: 'x',
    open: () => Promise.reject(new Error('no')),
    end: () => Promise.resolve(),
  })
  await expect(failing).rejects.toThrow('no')
  expect((await enter('a')).value).toBe('a')
})

it('turns away who waits when it closes, and ends what is used when its user leaves', async () => {
  const { log, lane, enter } = scene()
  const a = await enter('a')
  const waiting = enter('b')
  await lane.close()
  await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' })
  expect(log).toEqual(['open a'])
  await a.leave()
  expect(log).toEqual(['open a', 'end a'])
})
