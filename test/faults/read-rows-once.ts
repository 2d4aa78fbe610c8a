/** Reads all rows of a file in a process of its own and says how many there were and its highest resident memory (kB). */
import { readFileSync } from 'node:fs'
import { readRows } from '../../src/data/read-rows.ts'

let rows = 0
for await (const { row } of readRows(process.argv[2] ?? '')) rows = row + 1
const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
process.stdout.write(JSON.stringify({ rows, peakKilobytes: Number(peak) }))
