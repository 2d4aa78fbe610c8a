/** What is wrong with an experiment file: problems with positions, and the one error that carries up to ten of them. */
import { LabError, type SourcePosition } from '../errors.ts'

/** A key path from the top of the file, e.g. `['techniques', 'hhh', 'train', 'lr']`. */
export type Path = readonly (string | number)[]

/** A place in the file, or the `--set` argument that brought the value. */
export type Where = SourcePosition | { readonly argument: string }

export interface Problem {
  readonly where: Where
  /** What and why, without a full stop. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string | undefined
}

const shown = 10

/** BAD_SPEC with every problem in the order of the file; the first one is the error's own message, hint and position. */
export class SpecError extends LabError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const sorted = inOrder(problems)
    const first = sorted[0]
    if (first === undefined) throw new RangeError('a SpecError needs a problem')
    const inFile = 'file' in first.where
    const message = inFile ? first.message : `--set ${shortened(first.where.argument)}: ${first.message}`
    super('BAD_SPEC', message, { hint: first.hint, at: inFile ? first.where : undefined })
    this.problems = sorted
  }

  override render(): string {
    const lines = this.problems.slice(0, shown).map(renderProblem)
    const more = this.problems.length - shown
    return [...lines, ...(more > 0 ? [`... and ${more} more`] : [])].join('\n')
  }
}

/** An argument may hold thousands of values; its beginning tells which one it is. */
function shortened(argument: string): string {
  return argument.length > 80 ? `${argument.slice(0, 77)}...` : argument
}

function renderProblem({ where, message, hint }: Problem): string {
  const place =
    'file' in where ? `${where.file}:${where.line}:${where.col}` : `--set ${shortened(where.argument)}`
  return `${place}: ${message}${hint === undefined ? '' : `\n  ${hint}`}`
}

/** Problems of arguments first, then by line and column; one kind of complaint about one place is told once. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  const once = problems.filter((problem) => {
    const key = JSON.stringify([problem.where, problem.message])
    return !seen.has(key) && seen.add(key)
  })
  const line = ({ where }: Problem): number => ('file' in where ? where.line : 0)
  const col = ({ where }: Problem): number => ('file' in where ? where.col : 0)
  return once.toSorted((a, b) => line(a) - line(b) || col(a) - col(b))
}

/** `techniques.hhh.train.lr`, `seeds[2]`. */
export function showPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

/** `did you mean \`train\`?`, or nothing where no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(word, candidates)
  return near === undefined ? undefined : `did you mean \`${near}\`?`
}

/** The candidate with the fewest edits to the word, one for every three letters and at most four. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.min(4, Math.max(1, Math.floor(word.length / 3))) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      next.push(cost)
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}

/** `a`, `a or b`, `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
