/** Log-probabilities of given tokens: sequences go through the model side by side, and only what is asked for reaches the head. */
import { eachLogits, type Inference, openInference, runStep, sharePrefix } from './inference.ts'
import type { SampledModel } from './sampled-model.ts'
import type { ScoreSequence } from './score-plan.ts'
import { runOf, Slots, type Turn } from './slots.ts'

interface Scored {
  readonly tokens: readonly number[]
  /** Places whose logits are wanted, ascending, and the picks of each. */
  readonly places: readonly { readonly position: number; readonly picks: readonly number[] }[]
  readonly picks: ScoreSequence['picks']
  readonly logprobs: number[]
  fed: number
}

/** For every sequence log P of its picks, in nats; null if cancelled, which is asked before every step. */
export function score(
  model: SampledModel,
  sequences: readonly ScoreSequence[],
  cancelled: () => boolean,
): number[][] | null {
  const all = sequences.map(newScored)
  const open = all.filter(({ picks }) => picks.length > 0)
  if (open.length > 0 && !cancelled()) {
    const positions = open.reduce((most, { tokens }) => Math.max(most, tokens.length), 0)
    const inference = openInference(model, { sequences: open.length, positions })
    // Tokens up to the first one whose logits are wanted.
    const heads = open.map(({ tokens, places }) => tokens.slice(0, (places[0]?.position ?? 0) + 1))
    const shared = sharePrefix(inference, heads)
    for (const sequence of open) sequence.fed = shared
    const slots = new Slots(open, inference)
    for (let turns = slots.next(); turns.length > 0 && !cancelled(); turns = slots.next()) {
      feed(inference, turns)
      for (const { sequence, slot } of turns) if (sequence.fed === sequence.tokens.length) slots.release(slot)
    }
  }
  return cancelled() ? null : all.map(({ logprobs }) => logprobs)
}

function newScored({ tokens, picks }: ScoreSequence): Scored {
  const byPosition = Map.groupBy(picks.keys(), (i) => picks[i]?.position ?? 0)
  const places = [...byPosition]
    .map(([position, own]) => ({ position, picks: own }))
    .sort((a, b) => a.position - b.position)
  // What comes after the last place has no effect.
  const needed = tokens.slice(0, (places.at(-1)?.position ?? -1) + 1)
  return { tokens: needed, places, picks, logprobs: [], fed: 0 }
}

/** Feeds the turns and puts the log-probabilities of the picks in them in their places. */
function feed(inference: Inference, turns: readonly Turn<Scored>[]): void {
  const wanted = turns.flatMap(({ sequence, count }) => {
    const { places, fed } = sequence
    return places
      .filter(({ position }) => position >= fed && position < fed + count)
      .map((place) => ({ sequence, ...place }))
  })
  runStep(
    inference,
    turns.map((turn) => {
      const { fed } = turn.sequence
      const own = wanted.filter(({ sequence }) => sequence === turn.sequence)
      return runOf(
        turn,
        own.map(({ position }) => position - fed),
      )
    }),
  )
  for (const { sequence, count } of turns) sequence.fed += count
  const { k, network } = inference
  eachLogits(inference, wanted.length, (logits, from, to) => {
    const rows = wanted.slice(from, to)
    const starts = Int32Array.of(0, ...runningCounts(rows.map(({ picks }) => picks.length)))
    const targets = Int32Array.from(
      rows.flatMap(({ sequence, picks }) => picks.map((i) => sequence.picks[i]?.token ?? 0)),
    )
    const found = new Float32Array(targets.length)
    k.logprobs(found, logits, starts, targets, rows.length, network.config.vocabSize)
    for (const [r, { sequence, picks }] of rows.entries()) {
      for (const [p, i] of picks.entries()) sequence.logprobs[i] = found[(starts[r] as number) + p] as number
    }
  })
}

function runningCounts(counts: readonly number[]): number[] {
  let total = 0
  return counts.map((count) => (total += count))
}
