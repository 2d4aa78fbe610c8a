/** Ctrl-C, SIGTERM and a closed terminal as an AbortSignal; a second Ctrl-C ends the process at once. */
import { interrupted } from '../errors.ts'

/** A terminal's Ctrl-C reaches us twice where an older Node started us and passes signals on. */
const sameMs = 300

/** Aborts with the interrupted() error on the first signal. After 1.8 s, or on a second signal, exits 75 regardless. */
export function interruptSignal(): AbortSignal {
  return abortOnSignal(1_800)
}

/** The same for a command that may take as long as it needs to wind up. */
export function drainSignal(): AbortSignal {
  return abortOnSignal(null)
}

function abortOnSignal(patienceMs: number | null): AbortSignal {
  const controller = new AbortController()
  let first = 0
  const stop = (): void => {
    if (controller.signal.aborted) {
      if (performance.now() - first > sameMs) process.exit(75)
      return
    }
    first = performance.now()
    controller.abort(interrupted())
    if (patienceMs !== null) setTimeout(() => process.exit(75), patienceMs).unref()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  process.on('SIGHUP', stop)
  return controller.signal
}
