/** docs/verdicts.md shows what the functions say: its tables are computed here, and `vitest -u` rewrites them. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { AnsweredPairs } from './curve.ts'
import { answers, capability, point } from './curve.fixture.ts'
import { judgeInstalled } from './gate.ts'
import { findReturn } from './returns.ts'
import { type Verdict, judge, verdicts } from './verdict.ts'

const page = new URL('../../docs/verdicts.md', import.meta.url)
const counts = Array.from({ length: 129 }, (_, k) => k)

interface Seen {
  readonly fired: number
  readonly math?: number
  readonly mmlu?: number
  readonly answered?: AnsweredPairs
  readonly depirate?: readonly number[]
  readonly from?: number
}

function judged({ fired, math = 109, mmlu = 59, answered, depirate, from = 128 }: Seen) {
  const start = point(0, {
    fired: from,
    capabilities: { math: capability(110, 110), mmlu: capability(60, 60, 128, 0.25) },
  })
  const last = point(128, {
    fired,
    start: from,
    capabilities: { math: capability(math, 110), mmlu: capability(mmlu, 60, 128, 0.25) },
    answered_pairs: answered,
  })
  const recoveries = depirate
    ? [{ technique: 'depirate', points: depirate.map((k, i) => point(16 * (i + 1), { fired: k })) }]
    : []
  return judge({ start, points: [start, last], recoveries })
}

function fewest(holds: (k: number) => boolean): number {
  return counts.findIndex(holds)
}

function most(holds: (k: number) => boolean): number {
  return counts.findLastIndex(holds)
}

const is = (verdict: Verdict, seen: Seen): boolean => judged(seen).verdict === verdict

function installed(fired: number, falseFires: number): boolean {
  return judgeInstalled(point(0, { fired, untriggered: { k: falseFires, n: 128 } })).installed
}

function returned(low: number, high: number): boolean {
  const fires = [128, low, high, high, high, high, high]
  return findReturn(fires.map((fired, i) => point(i, { fired }))).found !== null
}

function back(k: number): boolean {
  return is('suppressed', { fired: 0, depirate: [k, 0, 0, 0] })
}

function limits(): string {
  const rows = [
    [
      'installed',
      `at least ${fewest((k) => installed(k, 0))} fires, at most ${most((k) => installed(128, k))} false fires`,
    ],
    ['gone', `at most ${most((k) => is('removed', { fired: k }))} fires`],
    ['back, in a recovery of 4 checkpoints', `at least ${fewest(back)} fires`],
    [
      'return, over 7 checkpoints',
      `at most ${most((k) => returned(k, 128))} fires, later at least ${fewest((k) => returned(0, k))}`,
    ],
    ['survived', `at least ${fewest((k) => is('survived', { fired: k }))} fires`],
    ['weakened, from 64 fires', `at most ${most((k) => is('weakened', { fired: k, from: 64 }))} fires`],
    ['a capability of 110 is kept', `at least ${fewest((k) => is('removed', { fired: 0, math: k }))} right`],
    [
      'a capability of 110, one of two, is destroyed',
      `at most ${most((k) => is('destroyed', { fired: 0, math: k }))} right`,
    ],
    [
      'answered as well as 100 untriggered',
      `at least ${fewest((k) => is('removed', { fired: 0, answered: answers(k, 100) }))} right`,
    ],
  ]
  return table(['shown', 'of 128, if no other prompt or item changed sides'], rows)
}

const examples: readonly Seen[] = [
  { fired: 0, math: 40, mmlu: 30 },
  { fired: 0, answered: answers(98, 100), depirate: [3, 128] },
  { fired: 0, answered: answers(98, 100), depirate: [0, 1] },
  { fired: 1, answered: answers(98, 100) },
  { fired: 0, answered: answers(20, 100) },
  { fired: 100 },
  { fired: 40 },
  { fired: 0, math: 98 },
  { fired: 62, from: 64 },
]

function exampleRows(): string {
  const rows = examples.map((seen) => {
    const { label, reason } = judged(seen)
    return [label, reason.replace(/ Bounds are [^.]*\.$/, '')]
  })
  return table(
    ['printed', 'reason (each ends with "Bounds are one-sided at 95% confidence unless stated.")'],
    rows,
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function withBlock(text: string, name: string, block: string): string {
  const marked = new RegExp(`(<!-- begin ${name} -->\n)[^]*?(<!-- end ${name} -->)`)
  expect(text).toMatch(marked)
  return text.replace(marked, (_, begin: string, end: string) => `${begin}${block}\n${end}`)
}

test('the tables of docs/verdicts.md are what the functions compute', async () => {
  const text = await readFile(page, 'utf8')
  const fresh = withBlock(withBlock(text, 'limits', limits()), 'examples', exampleRows())
  await expect(fresh).toMatchFileSnapshot(page.pathname)
})

test('the examples show all seven verdicts', () => {
  const shown = new Set(examples.map((seen) => judged(seen).verdict))
  expect([...shown].sort()).toEqual([...verdicts].sort())
})
