/** The trainer against real processes that behave as the package does: what they tell, and every way in which they end. */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LabError } from '../../errors.ts'
import { readWeights } from '../../model/folder.ts'
import { tinyConfig } from '../embedded/random-model.fixture.ts'
import type { TrainEvent, TrainJob } from '../engine.ts'
import { initialWeights } from '../init-weights.ts'
import { Lane } from './lane.ts'
import { twoSteps, writePython } from './python.fixture.ts'
import { testSettings } from './settings.fixture.ts'
import { createTorchTrainer, type TorchTrainerOptions } from './trainer.ts'

const folder = mkdtempSync(join(tmpdir(), 'torch-trainer-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const trainerOf = (scenario: string, options: Partial<TorchTrainerOptions> = {}) =>
  createTorchTrainer({
    settings: testSettings({ python: writePython(folder, scenario), device: 'cpu' }),
    launch: null,
    versions: { torch: '2.13.0' },
    identity: { engine: 'torch' },
    lane: new Lane(),
    stopPatienceMs: 10_000,
    ...options,
  })

async function collect(training: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const events: TrainEvent[] = []
  for await (const event of training) events.push(event)
  return events
}

async function eventsOf(scenario: string, job: TrainJob): Promise<TrainEvent[]> {
  const signal = new AbortController().signal
  return await collect(trainerOf(scenario).train(job, { signal }))
}

async function failureOf(scenario: string, job: TrainJob = twoSteps(folder, scenario)): Promise<LabError> {
  const error: unknown = await eventsOf(scenario, job).then(
    () => new Error('it ended well'),
    (error: unknown) => error,
  )
  if (error instanceof LabError) return error
  throw error
}

describe('a training that ends well', () => {
  it('tells its steps, a line that came in two writes among them, and its checkpoints', async () => {
    const job = twoSteps(folder, 'done')
    const events = await eventsOf('done', job)
    expect(events.map(({ type }) => type)).toEqual(['start', 'step', 'step', 'checkpoint'])
    expect(events[2]).toEqual({
      type: 'step',
      metrics: { step: 2, loss: 0.5, lr: 0.1, gradNorm: 2, tokens: 10, scored: 5 },
      tokensPerSecond: 100,
    })
    expect(events[3]).toEqual({ type: 'checkpoint', step: 2, folder: join(job.workDir, 'checkpoint-2') })
  })

  it('starts from the weights that the embedded engine starts from', async () => {
    const job = twoSteps(folder, 'start')
    await eventsOf('done', job)
    const weights = await readWeights(join(job.workDir, 'start'), tinyConfig)
    expect(Buffer.from(weights.buffer).equals(Buffer.from(initialWeights(tinyConfig, 3).buffer))).toBe(true)
  })

  it('does not tell again what an earlier process told', async () => {
    const job = twoSteps(folder, 'again')
    mkdirSync(job.workDir)
    const old = join(job.workDir, 'events.jsonl')
    appendFileSync(old, `${'{"type":"not even known"}\n'.repeat(100_000)}{"type": "st`)
    expect(await eventsOf('done', job)).toHaveLength(4)
  })
})

it('has the devices for itself, whatever engines share them', async () => {
  const lane = new Lane()
  const jobs = ['one', 'two'].map((name) => twoSteps(folder, `beside ${name}`))
  const order: string[] = []
  const train = async (job: TrainJob): Promise<void> => {
    const training = trainerOf('done', { lane }).train(job, { signal: new AbortController().signal })
    for await (const { type } of training) order.push(`${job.workDir} ${type}`)
  }
  await Promise.all(jobs.map(train))
  expect(order.map((line) => line.split(' ')[1])).toEqual([...Array(4).fill('one'), ...Array(4).fill('two')])
})

describe('a training that fails', () => {
  it('says what the package said', async () => {
    const error = await failureOf('nan')
    expect(error).toMatchObject({ code: 'ENGINE', message: 'torch: step 2: the loss is nan' })
    expect(error.hint).toMatch(/^Lower the learning rate\. The same command goes on from .*log\.txt\.$/)
  })

  it('is bad input where the job is wrong', async () => {
    expect(await failureOf('bad job')).toMatchObject({ code: 'BAD_INPUT', exitCode: 2 })
  })

  it('is a crash with the last lines of the log where a signal ended it', async () => {
    const error = await failureOf('killed')
    expect(error.code).toBe('ENGINE')
    expect(error.message).toContain('was killed by SIGKILL')
    expect(error.message).toContain('oom-kill event')
  })

  it('is told by its cause where its processes did not meet, whatever else they say as they are ended', async () => {
    const error = await failureOf('apart')
    expect(error.message.split('\n')[0]).toBe(
      'the processes of the training did not meet: The client socket has timed out after 300000ms while trying to connect to (n1, 20001).',
    )
    expect(error.hint).toMatch(/NodeAddr.*the same command goes on/)
  })

  it('names the command that installs a missing module', async () => {
    expect((await failureOf('no module')).hint).toMatch(/^sh .*python\/setup\.sh installs/)
  })

  it('refuses a line that is no event, with the line', async () => {
    const error = await failureOf('garbage')
    expect(error.message).toContain('Loading weights: 100%')
  })

  it('says in one sentence that there is no Python', async () => {
    const trainer = trainerOf('done', { settings: testSettings({ python: join(folder, 'nowhere') }) })
    const job = twoSteps(folder, 'nowhere')
    const training = collect(trainer.train(job, { signal: new AbortController().signal }))
    await expect(training).rejects.toMatchObject({
      message: expect.stringMatching(/needs Python: .*nowhere is not there$/) as string,
      hint: expect.stringMatching(/setup\.sh/) as string,
    })
  })

  it('names the version that is wanted and the one that is there', async () => {
    const trainer = trainerOf('done', { versions: { torch: '2.14.0', peft: '0.21.2' } })
    const job = twoSteps(folder, 'versions')
    const training = collect(trainer.train(job, { signal: new AbortController().signal }))
    await expect(training).rejects.toThrow(
      'torch 2.14.0 (2.13.0+cpu is installed), peft 0.21.2 (not installed)',
    )
  })
})

/** Aborts after the first step. */
async function abortedAt(scenario: string, options: Partial<TorchTrainerOptions> = {}): Promise<unknown> {
  const controller = new AbortController()
  const job = twoSteps(folder, `${scenario} stop`)
  const training = trainerOf(scenario, options).train(job, { signal: controller.signal })
  try {
    for await (const event of training) if (event.type === 'step') controller.abort()
  } catch (error) {
    return error
  }
  return null
}

describe('a training that is to stop', () => {
  it('ends after its step, and is interrupted', async () => {
    expect(await abortedAt('stoppable')).toMatchObject({ code: 'INTERRUPTED' })
    const log = readFileSync(join(folder, 'stoppable stop', 'events.jsonl'), 'utf8')
    expect(log).toContain('"preempted"')
  })

  it('is killed where it does not listen', async () => {
    const patience = { stopPatienceMs: 100, termPatienceMs: 100 }
    expect(await abortedAt('deaf', patience)).toMatchObject({ code: 'INTERRUPTED' })
    const pid = Number(readFileSync(join(folder, 'deaf stop', 'pid'), 'utf8'))
    expect(existsSync(join(folder, 'deaf stop', 'process.json'))).toBe(false)
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('that stops unasked is interrupted too', async () => {
    const job = twoSteps(folder, 'unasked')
    const signal = new AbortController().signal
    const training = trainerOf('stoppable').train(job, { signal })
    const seen: string[] = []
    const watched = (async () => {
      for await (const event of training) {
        seen.push(event.type)
        if (event.type === 'step') appendFileSync(join(job.workDir, 'STOP'), '')
      }
    })()
    await expect(watched).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 75 })
    expect(seen).toEqual(['start', 'step'])
  })

  it('is waited for by the next one, which then has the folder alone', async () => {
    const job = twoSteps(folder, 'orphan')
    const training = trainerOf('stoppable').train(job, { signal: new AbortController().signal })
    const first = training[Symbol.asyncIterator]()
    await first.next()
    // Nobody reads the first one any more: it is still at work.
    const events = await eventsOf('done', job)
    expect(events.at(-1)).toMatchObject({ type: 'checkpoint' })
    expect(existsSync(join(job.workDir, 'checkpoint-2'))).toBe(true)
    await first.return?.()
  })
})
