/** One look at the queue for all jobs that are followed: a cluster's controller is not to be asked once a job. */
import { queued, type QueuedJob } from './client.ts'

/** Jobs of one name, usually one; or why the queue does not say. */
export type Look = { readonly jobs: readonly QueuedJob[] } | { readonly unknown: string }

export interface Queue {
  /** What the queue says of a name, at most `everyMs` old. Names stay followed until they are left. */
  look(name: string): Promise<Look>
  leave(name: string): void
}

/** Squeue's line may be this long; more names are asked a part at a time. */
const namesAtOnce = 200

export function createQueue(everyMs: number): Queue {
  const names = new Set<string>()
  let last: { readonly at: number; readonly of: ReadonlySet<string>; readonly answer: Promise<Look> } | null =
    null
  return {
    look: async (name) => {
      names.add(name)
      if (last === null || !last.of.has(name) || performance.now() - last.at >= everyMs) {
        last = { at: performance.now(), of: new Set(names), answer: ask([...names]) }
      }
      const answer = await last.answer
      return 'unknown' in answer ? answer : { jobs: answer.jobs.filter((job) => job.name === name) }
    },
    leave: (name) => names.delete(name),
  }
}

async function ask(names: readonly string[]): Promise<Look> {
  const jobs: QueuedJob[] = []
  for (let i = 0; i < names.length; i += namesAtOnce) {
    const answer = await queued(names.slice(i, i + namesAtOnce))
    if ('unknown' in answer) return answer
    jobs.push(...answer.jobs)
  }
  return { jobs }
}
