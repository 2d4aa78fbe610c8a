/** The event log of a run. A disk that refuses it does not end the run: that is told once, and the next event is tried again. */
import { refusalOf } from '../store/refusal.ts'
import { openEventLog } from '../store/events.ts'
import { eventsFile, runFolder, type RecordedEvent } from './records.ts'

export interface RunLog {
  keep(event: RecordedEvent): void
  close(): void
}

/** `refused` is called with the reason, at most once. */
export function openRunLog(store: string, run: string, refused: (why: string) => void): RunLog {
  const log = openEventLog<RecordedEvent & { at: string }>(eventsFile(store, run))
  let told = false
  return {
    keep: (event) => {
      try {
        log.append({ at: new Date().toISOString(), ...event })
      } catch (error) {
        const refusal = refusalOf(error, runFolder(store, run))
        if (refusal === null) throw error
        if (!told) refused(refusal.message)
        told = true
      }
    },
    close: () => log.close(),
  }
}
