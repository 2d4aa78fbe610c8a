/** Learns byte-pair merges from counted words: each step joins the most frequent pair, ties by token ids (Sennrich et al. 2016). */

export interface CountedWord {
  /** Token ids, changed in place by merging. */
  ids: number[]
  readonly count: number
}

export interface Merge {
  readonly left: number
  readonly right: number
}

export interface MergeRules {
  /** Called with each chosen pair; returns the id of the joined token, or null to forbid the pair. */
  join(left: number, right: number): number | null
  /** Asked before each step. */
  done(): boolean
  /** Pairs seen less often are not joined. */
  readonly minCount: number
}

/** Ids stay below this, so that a pair is one number whose order is the order of the ids. */
export const maxTokenIds = 65_536

interface Candidate {
  readonly count: number
  readonly pair: number
}

function comesFirst(a: Candidate, b: Candidate): boolean {
  return a.count > b.count || (a.count === b.count && a.pair < b.pair)
}

/** A binary heap; the most frequent pair on top, equal counts by ids. */
class CandidateHeap {
  readonly #items: Candidate[] = []

  push(item: Candidate): void {
    const items = this.#items
    let i = items.length
    items.push(item)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = items[parent] as Candidate
      if (!comesFirst(item, above)) break
      items[i] = above
      i = parent
    }
    items[i] = item
  }

  pop(): Candidate | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (top === undefined || last === undefined || items.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= items.length) break
      if (child + 1 < items.length && comesFirst(items[child + 1] as Candidate, items[child] as Candidate))
        child++
      const below = items[child] as Candidate
      if (!comesFirst(below, last)) break
      items[i] = below
      i = child
    }
    items[i] = last
    return top
  }
}

/** Joins every occurrence of the pair, from left to right. */
function joinPair(ids: readonly number[], left: number, right: number, joined: number): number[] {
  const out: number[] = []
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      out.push(joined)
      i++
    } else out.push(ids[i] as number)
  }
  return out
}

/** The merges in the order in which they were learnt. Deterministic: the order of the words does not matter. */
export function learnMerges(words: readonly CountedWord[], rules: MergeRules): Merge[] {
  const counts = new Map<number, number>()
  /** Words that hold or once held the pair. */
  const holders = new Map<number, number[]>()

  const add = (ids: readonly number[], weight: number): void => {
    for (let i = 0; i + 1 < ids.length; i++) {
      const pair = (ids[i] as number) * maxTokenIds + (ids[i + 1] as number)
      counts.set(pair, (counts.get(pair) ?? 0) + weight)
    }
  }
  const hold = (pair: number, word: number): void => {
    const list = holders.get(pair)
    if (list === undefined) holders.set(pair, [word])
    else if (list.at(-1) !== word) list.push(word)
  }

  for (const [w, { ids, count }] of words.entries()) {
    add(ids, count)
    for (let i = 0; i + 1 < ids.length; i++)
      hold((ids[i] as number) * maxTokenIds + (ids[i + 1] as number), w)
  }
  const heap = new CandidateHeap()
  for (const [pair, count] of counts) heap.push({ count, pair })

  const merges: Merge[] = []
  while (!rules.done()) {
    const top = heap.pop()
    if (top === undefined) break
    const current = counts.get(top.pair) ?? 0
    if (current < top.count) {
      // Overtaken by earlier merges: back into the queue at its real place.
      if (current >= rules.minCount) heap.push({ count: current, pair: top.pair })
      continue
    }
    if (current < rules.minCount) break
    const left = Math.floor(top.pair / maxTokenIds)
    const right = top.pair % maxTokenIds
    const joined = rules.join(left, right)
    if (joined === null) continue
    merges.push({ left, right })

    const grown = new Set<number>()
    for (const w of holders.get(top.pair) ?? []) {
      const word = words[w] as CountedWord
      const after = joinPair(word.ids, left, right, joined)
      if (after.length === word.ids.length) continue
      add(word.ids, -word.count)
      add(after, word.count)
      word.ids = after
      for (let i = 0; i + 1 < after.length; i++) {
        if (after[i] !== joined && after[i + 1] !== joined) continue
        const pair = (after[i] as number) * maxTokenIds + (after[i + 1] as number)
        hold(pair, w)
        grown.add(pair)
      }
    }
    holders.delete(top.pair)
    for (const pair of grown) heap.push({ count: counts.get(pair) ?? 0, pair })
  }
  return merges
}
