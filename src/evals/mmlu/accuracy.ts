/** Accuracy over all questions and over subjects: MMLU's two averages, as counts that intervals can be built on. */
import type { Count } from '../eval.ts'

export interface Accuracies {
  /** All questions alike; lm-eval's figure for `mmlu`. */
  readonly micro: Count & { readonly accuracy: number }
  /** The mean of the subjects' accuracies, however many questions each has; null where no row names a subject. */
  readonly macro: { readonly accuracy: number; readonly subjects: number } | null
  /** By subject, in alphabetical order. */
  readonly subjects: Readonly<Record<string, Count & { readonly accuracy: number }>>
}

/**
 * Accuracies of scored questions. A row without a subject counts in `micro` alone. An accuracy over no question is NaN:
 * there is none to give.
 */
export function accuracies(
  rows: readonly { readonly subject: string | null; readonly correct: boolean }[],
): Accuracies {
  const bySubject = new Map<string, boolean[]>()
  for (const { subject, correct } of rows) {
    if (subject === null) continue
    const verdicts = bySubject.get(subject)
    if (verdicts === undefined) bySubject.set(subject, [correct])
    else verdicts.push(correct)
  }
  const subjects = [...bySubject].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const counted = subjects.map(([subject, verdicts]) => [subject, countOf(verdicts)] as const)
  const total = counted.reduce((sum, [, { accuracy }]) => sum + accuracy, 0)
  return {
    micro: countOf(rows.map(({ correct }) => correct)),
    macro: counted.length === 0 ? null : { accuracy: total / counted.length, subjects: counted.length },
    subjects: Object.fromEntries(counted),
  }
}

function countOf(verdicts: readonly boolean[]): Count & { readonly accuracy: number } {
  const k = verdicts.filter(Boolean).length
  return { k, n: verdicts.length, accuracy: k / verdicts.length }
}
