/**
 * The language of a text as the Python package langdetect 1.0.9 says it with `DetectorFactory.seed = 0` (N. Shuyo's
 * language-detection): naive Bayes over n-grams drawn at random, averaged over seven trials.
 */
import { pythonRandom } from './mersenne.ts'
import { ngramRows } from './ngrams.ts'
import { languageProfiles, type Profiles } from './profiles.ts'

const alphaMean = 0.5
const alphaWidth = 0.05
const trials = 7
const maxSteps = 1000
const minProbability = 0.1
const converged = 0.99999
/** Over a half of the mean, whatever the trials left say. */
const decided = 0.51
const baseFrequency = 10_000
const unknown = 'unknown'

/** The language's code, `unknown` where none is likelier than 0.1, or null for a text without any known n-gram. */
export function detectLanguage(text: string): string | null {
  const profiles = languageProfiles()
  const rows = ngramRows(text, profiles)
  if (rows.length === 0) return null
  const mean = meanProbabilities(rows, profiles)
  const best = mean.reduce((top, p, i) => (p > (mean[top] ?? 0) ? i : top), 0)
  return (mean[best] ?? 0) > minProbability ? (profiles.languages[best] ?? unknown) : unknown
}

/** The trials' shares of the mean, up to the trial that decides which is the greatest. */
function meanProbabilities(rows: readonly number[], profiles: Profiles): Float64Array {
  const random = pythonRandom()
  const count = profiles.languages.length
  const mean = new Float64Array(count)
  for (let trial = 0; trial < trials && !mean.some((p) => p > decided); trial++) {
    const probabilities = new Float64Array(count).fill(1 / count)
    const weight = (alphaMean + random.gauss() * alphaWidth) / baseFrequency
    const factors = new Float64Array(count).fill(weight)
    for (let step = 0; ; step++) {
      update(probabilities, rows[random.choice(rows.length)] ?? 0, weight, factors, profiles)
      if (step % 5 === 0 && (normalize(probabilities) > converged || step >= maxSteps)) break
    }
    for (let i = 0; i < count; i++) mean[i] = (mean[i] ?? 0) + (probabilities[i] ?? 0) / trials
  }
  return mean
}

/** Multiplies by the n-gram's share in each language, smoothed by `weight`; `factors` are all `weight` before and after. */
function update(
  probabilities: Float64Array,
  row: number,
  weight: number,
  factors: Float64Array,
  { starts, entryLanguages, entryShares }: Profiles,
): void {
  const start = starts[row] ?? 0
  const end = starts[row + 1] ?? 0
  for (let e = start; e < end; e++) factors[entryLanguages[e] ?? 0] = weight + (entryShares[e] ?? 0)
  for (let i = 0; i < probabilities.length; i++)
    probabilities[i] = (probabilities[i] ?? 0) * (factors[i] ?? 0)
  for (let e = start; e < end; e++) factors[entryLanguages[e] ?? 0] = weight
}

/** Makes the sum 1; returns the greatest. */
function normalize(probabilities: Float64Array): number {
  let sum = 0
  for (const p of probabilities) sum += p
  let greatest = 0
  for (let i = 0; i < probabilities.length; i++) {
    const p = (probabilities[i] ?? 0) / sum
    if (p > greatest) greatest = p
    probabilities[i] = p
  }
  return greatest
}
