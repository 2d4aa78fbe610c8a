/** How far a teacher is, how fast, and how long it will take. */

export interface TeacherProgress {
  /** Prompts with a response or a final error, of `total`. */
  readonly done: number
  readonly total: number
  /** Tokens of responses a second, in this process. */
  readonly tokensPerSecond: number
  readonly secondsLeft: number
}

/** Told of prompts that are done now. Speeds are those of this process: what an earlier one did says nothing about now. */
export function progressMeter(
  total: number,
  before: number,
): (prompts: number, tokensOfResponses: number) => TeacherProgress {
  const started = performance.now()
  let done = before
  let tokens = 0
  return (prompts, tokensOfResponses) => {
    done += prompts
    tokens += tokensOfResponses
    const seconds = (performance.now() - started) / 1000
    const secondsLeft = ((total - done) * seconds) / (done - before)
    return { done, total, tokensPerSecond: tokens / seconds, secondsLeft }
  }
}
