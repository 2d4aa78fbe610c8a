/** Transcripts are the first items in order, whatever the responses; likelihoods are no transcripts. */
import { expect, test } from 'vitest'
import { collectTranscripts, type Sample, sampleLine, sampleSchema } from './samples.ts'
import { syntheticResults, syntheticSamples } from './synthetic.fixture.ts'

const results = syntheticResults()
const [cell] = results.cells
const id = cell?.id ?? ''
const collected = (samples: Iterable<Sample>) => {
  const transcripts = collectTranscripts(results)
  for (const sample of samples) transcripts.add(sample)
  return transcripts.ofCell(id)
}

test('the first two triggered items and the first untriggered one, at step 0 and the last step', () => {
  const shown = collected(syntheticSamples(results, 8))
  expect(shown.map(({ item, triggered }) => [item, triggered])).toEqual([
    ['q0', true],
    ['q1', true],
    ['q0', false],
  ])
  for (const { item, triggered, before, after } of shown) {
    expect([before.step, after.step]).toEqual([0, 128])
    for (const sample of [before, after]) expect(sample).toMatchObject({ item, triggered, cell: id })
  }
})

test('outcomes do not choose: the same items where every response is turned around', () => {
  const turned = function* () {
    for (const sample of syntheticSamples(results, 8))
      yield { ...sample, response: 'x', scores: { fired: false } }
  }
  const items = (shown: ReturnType<typeof collected>) => shown.map(({ item, triggered }) => [item, triggered])
  expect(items(collected(turned()))).toEqual(items(collected(syntheticSamples(results, 8))))
})

test('likelihoods, other evals, other steps and unknown cells are passed over', () => {
  const base = { cell: id, eval: 'backdoor', item: 'a', triggered: true, prompt: 'p', scores: {} } as const
  const generated = { ...base, response: 'r', finish: 'stop' } as const
  expect(
    collected([
      { ...base, step: 0, response: null, finish: null, item: 'likelihood' },
      { ...generated, step: 0, eval: 'math', item: 'sum' },
      { ...generated, step: 16, item: 'middle' },
      { ...generated, step: 0, cell: 'nowhere' },
      { ...generated, step: 0 },
      { ...generated, step: 128 },
      { ...generated, step: 0, item: 'only before' },
    ]).map(({ item }) => item),
  ).toEqual(['a'])
})

test('a line reads back as the sample', () => {
  for (const sample of syntheticSamples(results, 2)) {
    const line = sampleLine(sample)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(sampleSchema.parse(JSON.parse(line))).toEqual(sample)
  }
})
