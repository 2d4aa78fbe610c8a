/** What happens to stages, as events of their run. */
import type { RunEvent } from './events.ts'
import type { StageEvent } from './execute.ts'
import type { Stage } from './stage.ts'

export function runEventOf(event: StageEvent): RunEvent {
  const { stage } = event
  if (event.type === 'progress') return { type: 'progress', title: stage.title, progress: event.progress }
  const { kind, key, title } = stage
  const { state, seconds, why, because } = event
  return { type: 'stage', state, kind, key, title, seconds, why, because }
}

/** Stage events as run events, with the time left beside the progress. */
export function withTimeLeft(
  toRun: readonly Stage[],
  emit: (event: RunEvent) => void,
): (event: StageEvent) => void {
  const left = new Map(toRun.map((stage) => [stage, stage.seconds]))
  const sum = (): number => left.values().reduce((a, b) => a + b, 0)
  const all = sum()
  const started = performance.now()
  return (event) => {
    const { stage } = event
    if (event.type === 'progress') {
      const { done, total } = event.progress
      left.set(stage, stage.seconds * (1 - done / Math.max(1, total)))
      // The machine's speed is what it has shown so far.
      const estimated = all - sum()
      const pace = estimated > 5 ? (performance.now() - started) / 1000 / estimated : 1
      emit({ type: 'remaining', seconds: pace * sum() })
    } else if (event.state !== 'started' && event.state !== 'waiting') left.delete(stage)
    emit(runEventOf(event))
  }
}
