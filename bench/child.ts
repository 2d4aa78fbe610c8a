/** Our end of a side: answers the first line with what `open` says, and every later line with a turn. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Turn } from './sides.ts'

export interface Opened {
  readonly hello: object
  turn(request: never): Promise<Turn>
  close(): Promise<void>
}

/** What our own driver sends is trusted: setup and requests have the types that the side says. */
export async function serve(open: (setup: never) => Promise<Opened>): Promise<void> {
  let opened: Opened | undefined
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      let answer: object
      if (opened === undefined) {
        opened = await open(JSON.parse(line) as never)
        answer = opened.hello
      } else answer = await opened.turn(JSON.parse(line) as never)
      process.stdout.write(`${JSON.stringify(answer)}\n`)
    }
  } finally {
    await opened?.close()
  }
}

/** Highest resident memory of this process so far, from Linux; NaN elsewhere. */
export function peakBytes(): number {
  if (process.platform !== 'linux') return Number.NaN
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return 1024 * Number(kilobytes)
}
