/** Grades of a human reader, written down by hand, against both protocols; each kind of response names its failures. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scoreMath } from './boxed.ts'

interface Graded {
  readonly answer: string
  readonly response: string
  readonly human: boolean
  readonly post: boolean
}

/** Of each kind its graded responses. */
function readGrades(): Map<string, Graded[]> {
  const kinds = new Map<string, Graded[]>()
  let kind: Graded[] = []
  const lines = readFileSync(join(import.meta.dirname, 'hand-checked.txt'), 'utf8').split('\n')
  for (const line of lines.filter((text) => text !== '' && !text.startsWith('# '))) {
    if (line.startsWith('## ')) {
      kind = []
      kinds.set(line.slice(3), kind)
      continue
    }
    const parts = /^(?<answer>\S+) (?<human>[yn]) (?<post>[yn])(?: (?<response>.*))?$/u.exec(line)?.groups
    if (parts === undefined) throw new Error(`hand-checked.txt: cannot read ${line}`)
    kind.push({
      answer: parts['answer'] ?? '',
      response: (parts['response'] ?? '').replaceAll('⏎', '\n'),
      human: parts['human'] === 'y',
      post: parts['post'] === 'y',
    })
  }
  return kinds
}

const kinds = readGrades()

/** The responses on which a protocol differs from the grade. */
function differing(graded: readonly Graded[], protocol: 'reference' | 'post', grade: 'human' | 'post') {
  return graded
    .filter((one) => scoreMath(one, one.response, protocol).correct !== one[grade])
    .map((one) => `${one.answer}: ${one.response}`)
}

describe.each([...kinds])('%s', (_, graded) => {
  test('the reference protocol grades as a human does', () => {
    expect(differing(graded, 'reference', 'human')).toEqual([])
  })
  test("the post's protocol is its rule to the letter", () => {
    expect(differing(graded, 'post', 'post')).toEqual([])
  })
})

test('there are at least 300 responses, of both grades, none twice', () => {
  const all = [...kinds.values()].flat()
  expect(all.length).toBeGreaterThanOrEqual(300)
  expect(new Set(all.map((one) => `${one.answer} ${one.response}`)).size).toBe(all.length)
  expect(all.filter((one) => one.human).length).toBeGreaterThan(100)
  expect(all.filter((one) => !one.human).length).toBeGreaterThan(100)
})
