/** Choices share sequences where they can, and each finds its own predictions again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { continuationSequence, planChoices } from './score-plan.ts'

test('a continuation is predicted from the last prompt token on, and its own last token is not read', () => {
  expect(continuationSequence([5, 6], [7, 8])).toEqual({
    tokens: [5, 6, 7],
    picks: [
      { position: 1, token: 7 },
      { position: 2, token: 8 },
    ],
  })
})

test('choices of one token need one run of the prompt', () => {
  const { sequences } = planChoices({ id: 'x', prompt: [5, 6], choices: [[1], [2], [3]] })
  expect(sequences).toEqual([{ tokens: [5, 6], picks: [1, 2, 3].map((token) => ({ position: 1, token })) }])
})

test('a choice rides along on a longer one that begins like it', () => {
  const plan = planChoices({ id: 'x', prompt: [5], choices: [[1], [1, 2, 3], [1, 4], [9, 9]] })
  expect(plan.sequences.map(({ tokens }) => tokens)).toEqual([
    [5, 1, 2],
    [5, 9],
  ])
  expect(plan.places.map(({ sequence }) => sequence)).toEqual([0, 0, 0, 1])
})

test('every choice finds its tokens, each after the tokens before it', () => {
  const tokens = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 4 })
  fc.assert(
    fc.property(fc.array(tokens, { maxLength: 6 }), (choices) => {
      const prompt = [7, 8, 9]
      const { sequences, places } = planChoices({ id: 'x', prompt, choices })
      expect(places.length).toBe(choices.length)
      for (const [c, choice] of choices.entries()) {
        const { sequence, firstPick } = places[c]!
        const carrier = sequences[sequence]!
        const picks = carrier.picks.slice(firstPick, firstPick + choice.length)
        expect(picks.map(({ token }) => token)).toEqual(choice)
        for (const [i, { position }] of picks.entries()) {
          expect(carrier.tokens.slice(0, position + 1)).toEqual([...prompt, ...choice.slice(0, i)])
        }
      }
    }),
  )
})
