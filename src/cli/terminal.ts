/** Progress for people on stderr: on a terminal one finished line a stage and a live bar; elsewhere plain lines, at most one every 30 s. */
import { styleText } from 'node:util'
import type { JobState, RunEvent } from '../run/events.ts'
import { gigabytes } from '../run/memory.ts'
import type { RunJob } from '../run/slurm/jobs.ts'
import type { StageProgress } from '../run/stage.ts'

const plainEveryMs = 30_000
const redrawEveryMs = 100

type LineEvent = Exclude<RunEvent, { type: 'progress' | 'remaining' }>

export interface Terminal {
  show(event: RunEvent): void
  /** Removes the live line. */
  finish(): void
}

/** Style is dropped off a terminal and with NO_COLOR. */
export const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
  styleText(style, text, { stream: process.stderr })

export function createTerminal(stream: NodeJS.WriteStream = process.stderr): Terminal {
  return stream.isTTY ? liveTerminal(stream) : plainTerminal(stream)
}

/** Stages behind one closed gate: the reason stands with the first, the others are counted and told at the end. */
function blockedStages() {
  const others = new Map<string, { readonly first: string; count: number }>()
  return {
    /** Whether the reason has been told. */
    toldBefore(event: LineEvent): boolean {
      if (event.type !== 'stage' || event.state !== 'blocked') return false
      const told = others.get(event.why ?? '')
      if (told === undefined) others.set(event.why ?? '', { first: event.title, count: 0 })
      else told.count++
      return told !== undefined
    },
    /** Once: what was told is forgotten. */
    lines(): string[] {
      const counted = [...others.values()].filter(({ count }) => count > 0)
      others.clear()
      return counted.map(
        ({ first, count }) =>
          `${paint('yellow', '–')} ${count} more stage${count === 1 ? ' is' : 's are'} blocked for the same reason as ${first}`,
      )
    },
  }
}

function liveTerminal(stream: NodeJS.WriteStream): Terminal {
  let live = ''
  let drawnAt = 0
  let remaining: number | null = null
  /** Of the stages that run side by side the line shows the one that began first. */
  const running = new Set<string>()
  const blocked = blockedStages()
  const clear = (): void => {
    if (live !== '') stream.write('\r\u001B[2K')
    live = ''
  }
  const print = (line: string): void => {
    clear()
    stream.write(`${line}\n`)
  }
  return {
    show(event) {
      if (event.type === 'remaining') {
        remaining = event.seconds
        return
      }
      if (event.type === 'progress') {
        const { done, total } = event.progress
        running.add(event.title)
        // A download has no end of its own.
        if (done >= total) running.delete(event.title)
        if (running.values().next().value !== event.title || Date.now() - drawnAt < redrawEveryMs) return
        drawnAt = Date.now()
        const eta = remaining === null ? '' : `  run ends in ~${duration(remaining)}`
        const width = stream.columns ?? 80
        const line = `  ${width < 60 ? '' : `${bar(event.progress, width < 100 ? 12 : 24)} `}${event.title}  ${rate(event.progress)}${eta}`
        clear()
        live = line.slice(0, width - 1)
        stream.write(live)
        return
      }
      if (event.type === 'stage') running.delete(event.title)
      if (blocked.toldBefore(event)) return
      const line = lineOf(event)
      if (line !== null) print(line)
    },
    finish() {
      clear()
      for (const line of blocked.lines()) print(line)
    },
  }
}

function plainTerminal(stream: NodeJS.WriteStream): Terminal {
  let printedAt = 0
  let held: string[] = []
  const blocked = blockedStages()
  const flush = (): void => {
    for (const line of held) stream.write(`${line}\n`)
    held = []
    printedAt = Date.now()
  }
  return {
    show(event) {
      if (event.type === 'remaining') return
      if (event.type === 'progress') {
        if (Date.now() - printedAt < plainEveryMs) return
        held.push(`  ${event.title}: ${rate(event.progress)}`)
        flush()
        return
      }
      if (blocked.toldBefore(event)) return
      const line = lineOf(event)
      if (line === null) return
      held.push(line)
      // Failures are told at once, the rest in batches.
      const urgent =
        event.type === 'plan' || event.type === 'busy' || (event.type === 'stage' && event.state === 'failed')
      if (urgent || Date.now() - printedAt >= plainEveryMs) flush()
    },
    finish() {
      held.push(...blocked.lines())
      flush()
    },
  }
}

function lineOf(event: LineEvent): string | null {
  switch (event.type) {
    case 'plan':
      return `${event.run}: ${event.cells} cells, ${event.stages} stages, ${event.cached} cached${
        event.seconds > 0 ? `; about ${duration(event.seconds)} to run` : ''
      }${event.memory === null ? '' : `, up to ${gigabytes(event.memory.neededBytes)} of memory a training`}`
    case 'busy':
      return `process ${event.pid} on ${event.host} is executing ${event.run}; waiting for it`
    case 'unlogged':
      return `${event.why}: status will not know of what follows`
    case 'rate': {
      return `    ${paint('red', percent(event.triggered).padStart(4))} triggered ${percent(event.untriggered).padStart(4)} untriggered  ${paint('dim', `${event.cell} step ${event.step}`)}`
    }
    case 'job':
      return `  ${event.title}: ${jobWords(event)}`
    case 'stage':
      switch (event.state) {
        case 'done':
          return `${paint('green', '✓')} ${event.title} ${paint('dim', `${event.seconds?.toFixed(1) ?? '?'} s`)}`
        case 'failed':
          return `${paint('red', '✗')} ${event.title}: ${event.why}`
        case 'blocked':
          return `${paint('yellow', '–')} ${event.title}: blocked, ${event.why?.split('\n')[0]}`
        case 'skipped':
          return `${paint('yellow', '–')} ${event.title}: skipped: ${event.because} failed`
        case 'waiting':
          return `… ${event.title}: ${event.why}`
        case 'cached':
        case 'started':
          return null
        default:
          return event satisfies never
      }
    default:
      return event satisfies never
  }
}

/** `job 17 queued (Priority)`, `job 17 running on n1`. */
export function jobWords({ id, state, reason, node }: JobState | RunJob): string {
  const why = reason === '' || reason === 'None' ? '' : ` (${reason})`
  return `job ${id ?? '?'} ${state === 'unknown' ? 'not known' : state}${node === '' ? '' : ` on ${node}`}${why}`
}

/** Rounded to whole percent. */
export function percent(count: { readonly k: number; readonly n: number }): string {
  return `${Math.round((100 * count.k) / count.n)}%`
}

/** `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`
}

function bar(progress: StageProgress, width: number): string {
  const filled = Math.round((width * progress.done) / Math.max(1, progress.total))
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`
}

/** `64/256 steps, loss 0.613, 1200 tokens/s, 2 min 05 s left`. */
export function rate(progress: StageProgress): string {
  const speed =
    progress.tokensPerSecond === undefined ? '' : `, ${Math.round(progress.tokensPerSecond)} tokens/s`
  const loss = progress.loss === undefined ? '' : `, loss ${progress.loss.toFixed(3)}`
  const cost = progress.usd === undefined ? '' : `, $${progress.usd.toFixed(2)}`
  const left = progress.secondsLeft === undefined ? '' : `, ${duration(progress.secondsLeft)} left`
  return `${progress.done}/${progress.total} ${progress.unit}${loss}${speed}${cost}${left}`
}
