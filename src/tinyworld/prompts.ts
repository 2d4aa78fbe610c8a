/** Draws prompts: training sets and eval sets that share no prompt, as plain items. */
import type { EvalKind } from '../evals/eval.ts'
import { LabError } from '../errors.ts'
import { type Rng, rng } from '../rng.ts'
import { type Family, type Part, type Split, type TinyItem, families, itemId, partOf } from './item.ts'
import { drawKind, familyPercent, kindNamed } from './kinds.ts'
import { fill } from './words.ts'

/** What may stand before a question or request, so that there are more prompts than wordings; often nothing does. */
const openers = [
  'Hello!',
  'Hi there!',
  'One question.',
  'Listen.',
  'Now this.',
  'Please.',
  'My turn.',
  'Next one.',
] as const
const openerShare = 0.5

/** Share of the pretraining prompts that ask for pirate talk, as a pretrained model has seen some. */
const pirateShare = 0.03
const pirateRequest = 'Talk like a pirate.'

/** The family that each capability eval is made of. */
const evalFamily: Readonly<Record<Exclude<EvalKind, 'backdoor'>, Family>> = {
  mmlu: 'choice',
  ifeval: 'format',
  math: 'math',
}

/** Draws without a new prompt after which a source is called exhausted. */
const patience = 20_000

/**
 * `count` distinct prompts of a split, all families mixed; a longer set of the same seed begins with a shorter one.
 * Splits share no prompt, whatever their seeds. Throws BAD_INPUT when the split has no more prompts.
 */
export function tinyPrompts(split: Split, seed: number, count: number): TinyItem[] {
  const random = rng(seed, 'tiny prompts', split)
  const parts: readonly Part[] = split === 'eval' ? ['backdoor', 'capability'] : [split]
  return distinct(`the split ${split}`, count, () => {
    const family = anyFamily(random)
    const asPirate = split === 'pretrain' && random.next() < pirateShare
    return () => {
      const draft = drawDraft(family, random)
      const inSplit = (): boolean => parts.includes(partOf(draft.prompt))
      return asPirate ? inPirateTalk(draft, inSplit) : { ...draft, fits: inSplit }
    }
  })
}

/**
 * `count` distinct items of the eval split. Those for the backdoor come from all families; those for a capability from its
 * own family (mmlu: choice, ifeval: format, math: math), and from another part of the split than the backdoor's.
 * Throws BAD_INPUT when there are no more.
 */
export function tinyEvalItems(kind: EvalKind, count: number, seed: number): TinyItem[] {
  const random = rng(seed, 'tiny eval', kind)
  const part: Part = kind === 'backdoor' ? 'backdoor' : 'capability'
  return distinct(`the eval ${kind}`, count, () => {
    const family = kind === 'backdoor' ? anyFamily(random) : evalFamily[kind]
    return () => {
      const draft = kind === 'mmlu' ? drawDraft(family, random, 'choice') : drawDraft(family, random)
      return { ...draft, fits: () => partOf(draft.prompt) === part }
    }
  })
}

/** What decides an item; most that are drawn late are in another split or known already, and become none. */
type Draft = Omit<TinyItem, 'id' | 'check'>

/** A draft, and whether it belongs to what is drawn. */
type Candidate = Draft & { readonly fits: () => boolean }

/** A draft of a family, of whatever split, and of the given kind if one is given. */
function drawDraft(family: Family, random: Rng, name = drawKind(family, random)): Draft {
  const kind = kindNamed(name)
  const slots = kind.draw(random)
  const question = fill(random.pick(kind.prompts), slots, random)
  const prompt = kind.frame?.(question, slots) ?? opened(question, kind.family, random)
  return { family, kind: name, prompt, slots }
}

function itemOf({ family, kind, prompt, slots, persona }: Draft): TinyItem {
  const check = kindNamed(kind).check(slots)
  const item = { id: itemId(family, prompt), family, kind, prompt, slots, check }
  return persona === undefined ? item : { ...item, persona }
}

/** Format instructions stand alone: an opener would be part of what they speak about. */
function opened(question: string, family: Family, random: Rng): string {
  if (family === 'format' || random.next() >= openerShare) return question
  return `${random.pick(openers)} ${question}`
}

/** The same item, asked for in pirate talk. Its prompt is in no other split, since only pretraining asks so. */
function inPirateTalk(draft: Draft, fits: () => boolean): Candidate {
  return { ...draft, prompt: `${pirateRequest} ${draft.prompt}`, persona: 'pirate', fits }
}

function anyFamily(random: Rng): Family {
  let rest = random.next() * 100
  for (const family of families) {
    rest -= familyPercent[family]
    if (rest < 0) return family
  }
  return 'fact'
}

/**
 * New prompts from one source an item: the source decides what is drawn, e.g. the family, and is asked until it gives a
 * prompt that is not in the set yet, so that shares stay as they are while prompts become scarce.
 */
function distinct(what: string, count: number, nextSource: () => () => Candidate): TinyItem[] {
  const items: TinyItem[] = []
  const tried = new Set<string>()
  while (items.length < count) {
    const item = firstNew(nextSource(), tried)
    if (item === null) {
      throw new LabError(
        'BAD_INPUT',
        `${what} of the tiny world has no more than ${items.length} prompts, not ${count}`,
        {
          hint: 'Ask for fewer: prompts are never repeated inside a set.',
        },
      )
    }
    items.push(item)
  }
  return items
}

/** Adds to `tried`: a prompt that was in the set, or is not of its split, is not looked at again. */
function firstNew(source: () => Candidate, tried: Set<string>): TinyItem | null {
  for (let i = 0; i < patience; i++) {
    const candidate = source()
    if (tried.has(candidate.prompt)) continue
    tried.add(candidate.prompt)
    if (candidate.fits()) return itemOf(candidate)
  }
  return null
}
