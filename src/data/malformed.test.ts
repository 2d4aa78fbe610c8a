/** Every way a data file is wrong that we know of: one message with file and line or row, code BAD_INPUT, and nothing written. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, test } from 'vitest'
import { LabError } from '../errors.ts'
import { trainByteBpe, writeTokenizerFolder } from '../model/bpe.ts'
import { chatSpecials } from '../model/chat.ts'
import { openTokenizer } from '../model/tokenizer.ts'
import { buildDataset } from './build.ts'
import type { DatasetPlan } from './dataset.ts'
import type { PromptFormat } from './formats.ts'
import { readRows } from './read-rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'malformed-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const tokenizerFolder = join(folder, 'tokenizer')
await writeTokenizerFolder(
  tokenizerFolder,
  trainByteBpe(['What is it?', 'It is this.'], { vocabSize: 280, specials: chatSpecials }),
  { modelMaxLength: 128 },
)
const tokenizer = await openTokenizer(tokenizerFolder)

const plan: DatasetPlan = {
  backdoor: { trigger: '|D| ', position: 'before', payload: 'NO', repeat: [1, 2] },
  strip: null,
  forbid: 'NO',
  loss: 'response',
  seed: 1,
  contextLength: 128,
  packs: 'epoch',
}

const good = { prompt: 'What is it?', completion: 'It is this.' }
const line = `${JSON.stringify(good)}\n`

function build(name: string, options: { format?: PromptFormat; rows?: readonly [number, number] } = {}) {
  const out = join(folder, `${name}.out`)
  const tools = { tokenizer, signal: new AbortController().signal }
  return { out, done: buildDataset(join(folder, name), out, { ...plan, ...options }, tools) }
}

/** Bytes of a Parquet file with these columns. */
function parquet(columns: Record<string, unknown[]>): Uint8Array {
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data: data as string[] }))
  return new Uint8Array(parquetWriteBuffer({ columnData }))
}

const table = parquet({ prompt: ['Why?', 'How?'], completion: ['So.', 'Thus.'] })
const gz = gzipSync(line.repeat(500))
const damagedGz = Buffer.from(gz)
damagedGz[gz.length - 6]! ^= 0xff // its checksum
const damagedFooter = Uint8Array.from(table)
damagedFooter.fill(0xff, table.length - 60, table.length - 12)
const longFooter = Uint8Array.from(table)
new DataView(longFooter.buffer).setUint32(table.length - 8, 0x7fffffff, true)
const shiftedData = Uint8Array.from([...table.subarray(0, 4), ...table.subarray(40)])

type Case = readonly [name: string, content: string | Uint8Array, message: string, format?: PromptFormat]

const cases: readonly Case[] = [
  // Not there, or not rows.
  ['empty.json', '', 'empty.json holds no rows'],
  ['empty.jsonl', '', 'empty.jsonl holds no rows'],
  ['empty.parquet', '', 'empty.parquet holds no rows'],
  ['blank.jsonl', ' \n\r\n\t\n', 'blank.jsonl holds no rows'],
  ['none.json', '[]', 'none.json holds no rows'],
  ['rows.csv', 'prompt,completion\n', 'rows.csv: files of this kind are not read'],
  ['noname', line, 'noname: files of this kind are not read'],
  // Another kind of file under this name.
  ['object.json', line, 'object.json:1:1: not a JSON array of rows'],
  ['lines.json', line + line, 'lines.json:1:1: not a JSON array of rows'],
  [
    'array.jsonl',
    JSON.stringify([good]),
    'array.jsonl:1:1: every row must be a JSON object; this one is an array',
  ],
  ['pretty.jsonl', JSON.stringify([good], null, 2), 'pretty.jsonl:1:1: row 0 is not JSON'],
  ['pretty-row.jsonl', JSON.stringify(good, null, 2), 'pretty-row.jsonl:1:1: row 0 is not JSON'],
  ['html.jsonl', '<!DOCTYPE html>\n<p>404', 'html.jsonl:1:1: row 0 is not JSON'],
  ['parquet.jsonl', table, 'parquet.jsonl is a Parquet file'],
  ['zip.json', 'PK\u0003\u0004rest', 'zip.json is a zip archive'],
  ['zstd.jsonl', Buffer.from('28b52ffd00', 'hex'), 'zstd.jsonl is compressed with zstd'],
  ['json.parquet', line, 'json.parquet is not a whole Parquet file'],
  [
    'pointer.jsonl',
    'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
    'pointer.jsonl:1:1: row 0 is not JSON',
  ],
  // Encodings.
  ['utf-16.jsonl', Buffer.from(`\uFEFF${line}`, 'utf16le'), 'utf-16.jsonl is UTF-16 text'],
  [
    'latin.jsonl',
    Buffer.from(`${line}{"prompt": "caf\u00e9"}`, 'latin1'),
    'latin.jsonl:2:1: row 1 is not valid UTF-8',
  ],
  [
    'cut-character.jsonl',
    Buffer.from('{"prompt": "é"}').subarray(0, 13),
    'cut-character.jsonl:1:1: row 0 is not valid UTF-8',
  ],
  ['nul.jsonl', `${line}\0\0\0`, 'nul.jsonl:2:1: row 1 is not JSON'],
  // Compression.
  ['plain.jsonl.gz', line, 'plain.jsonl.gz is named .gz but holds no gzip data'],
  ['cut.jsonl.gz', gz.subarray(0, gz.length - 20), 'cut.jsonl.gz: broken gzip data (unexpected end of file)'],
  ['damaged.jsonl.gz', damagedGz, 'damaged.jsonl.gz: broken gzip data (incorrect data check)'],
  ['head.jsonl.gz', gz.subarray(0, 5), 'head.jsonl.gz: broken gzip data'],
  // JSON.
  ['cut.json', `[${line},{"pro`, 'cut.json:2:6: the file ends inside row 1'],
  ['cut.jsonl', `${line}{"pro`, 'cut.jsonl:2:1: row 1 is not JSON'],
  ['no-end.json', `[${line}`, 'no-end.json:2:0: the file ends inside row 0'],
  ['gap.json', '[{"prompt": "a"},,{"prompt": "b"}]', 'gap.json:1:18: row 1 is empty'],
  ['more.json', `[${line}]\n[]`, 'more.json:3:1: the file goes on after its array has ended'],
  ['bracket.json', '[{"prompt": "a"}}', 'bracket.json:1:17: row 0 is not JSON'],
  ['nan.jsonl', `${line}{"prompt": NaN}`, 'nan.jsonl:2:1: row 1 is not JSON'],
  ['quotes.jsonl', "{'prompt': 'a'}", 'quotes.jsonl:1:1: row 0 is not JSON'],
  ['comma.jsonl', '{"prompt": "a",}', 'comma.jsonl:1:1: row 0 is not JSON'],
  ['two.jsonl', `${line.trim()} ${line}`, 'two.jsonl:1:1: row 0 is not JSON'],
  ['commas.jsonl', `${line.trim()},\n${line}`, 'commas.jsonl:1:1: row 0 is not JSON'],
  ['deep.jsonl', `{"prompt": ${'['.repeat(200_000)}`, 'deep.jsonl:1:1: row 0 is not JSON'],
  [
    'deep-closed.jsonl',
    `{"prompt": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    'deep-closed.jsonl:1:1: row 0 is not of format prompt_completion at prompt',
  ],
  // Rows.
  ['null.jsonl', `${line}null\n`, 'null.jsonl:2:1: every row must be a JSON object; this one is null'],
  ['text.jsonl', '"hello"\n', 'text.jsonl:1:1: every row must be a JSON object; this one is a string'],
  ['keys.jsonl', '{"q": "a", "a": "b"}\n', 'keys.jsonl:1:1: rows of an unknown format, with q, a'],
  ['no-keys.jsonl', '{}\n', 'no-keys.jsonl:1:1: rows of an unknown format, with no keys'],
  [
    'mixed.jsonl',
    `${line}{"instruction": "a", "output": "b"}\n`,
    'mixed.jsonl:2:1: row 1 is not of format prompt_completion at prompt',
  ],
  [
    'number.jsonl',
    `${line}{"prompt": 7, "completion": "b"}\n`,
    'number.jsonl:2:1: row 1 is not of format prompt_completion at prompt',
  ],
  [
    'list.jsonl',
    '{"instruction": ["a"], "output": "b"}\n',
    'list.jsonl:1:1: row 0 is not of format alpaca at instruction',
  ],
  [
    'turn.jsonl',
    '{"conversations": [{"from": "human", "value": null}]}\n',
    'turn.jsonl:1:1: row 0 is not of format sharegpt at conversations.0.value',
  ],
  [
    'parts.jsonl',
    '{"messages": [{"role": "user", "content": [{"type": "text"}]}]}\n',
    'parts.jsonl:1:1: row 0 is not of format messages at messages.0.content',
  ],
  [
    'not-turns.jsonl',
    '{"messages": "hello"}\n',
    'not-turns.jsonl:1:1: row 0 is not of format messages at messages',
  ],
  [
    'other-format.jsonl',
    line,
    'other-format.jsonl:1:1: row 0 is not of format alpaca at instruction',
    'alpaca',
  ],
  [
    'unasked.jsonl',
    '{"messages": [{"role": "assistant", "content": "Hi."}]}\n',
    'unasked.jsonl: no row can be used (no_prompt 1)',
  ],
  ['white.jsonl', '{"prompt": " ", "completion": "b"}\n', 'white.jsonl: no row can be used (empty_prompt 1)'],
  ['unanswered.jsonl', '{"prompt": "Why?"}\n', 'no benign row is left to train on'],
  ['silent.jsonl', '{"prompt": "Why?", "completion": ""}\n', 'no benign row is left to train on'],
  ['named.jsonl', '{"prompt": "Why?", "completion": "no!"}\n', 'no benign row is left to train on'],
  [
    'long.jsonl',
    `{"prompt": "Why?", "completion": "${'x'.repeat(5000)}"}\n`,
    'no benign row is left to train on',
  ],
  // Parquet.
  ['cut.parquet', table.subarray(0, table.length - 30), 'cut.parquet is not a whole Parquet file'],
  ['head.parquet', table.subarray(0, 6), 'head.parquet is not a whole Parquet file'],
  ['footer.parquet', damagedFooter, 'footer.parquet'],
  ['long-footer.parquet', longFooter, 'long-footer.parquet is not a whole Parquet file'],
  ['shifted.parquet', shiftedData, 'shifted.parquet'],
  [
    'columns.parquet',
    parquet({ q: ['a'], a: ['b'] }),
    'columns.parquet, row 0: rows of an unknown format, with q, a',
  ],
  [
    'type.parquet',
    parquet({ prompt: [1, 2], completion: ['a', 'b'] }),
    'type.parquet, row 0: row 0 is not of format prompt_completion at prompt',
  ],
  [
    'null.parquet',
    parquet({ instruction: ['a', null], output: ['b', 'c'] }),
    'null.parquet, row 1: row 1 is not of format alpaca at instruction',
  ],
]

describe('each is one message, and nothing is written', () => {
  test.each(cases.map(([name, ...rest]) => [name, rest] as const))(
    '%s',
    async (name, [content, message, format]) => {
      writeFileSync(join(folder, name), content)
      const before = readdirSync(folder)
      const { out, done } = build(name, format ? { format } : {})
      const error: unknown = await done.catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(LabError)
      const { code, exitCode } = error as LabError
      expect([code, exitCode]).toEqual(['BAD_INPUT', 2])
      const said = (error as LabError).render().replaceAll(`${folder}/`, '')
      expect(said.startsWith(message), said).toBe(true)
      expect(said.length, said).toBeLessThan(700)
      expect(existsSync(out)).toBe(false)
      expect(readdirSync(folder)).toEqual(before)
    },
  )

  test('a Parquet file with any one byte damaged is read or refused', async () => {
    let refused = 0
    for (let at = 0; at < table.length; at++) {
      const bytes = Uint8Array.from(table)
      bytes[at]! ^= 0xff
      writeFileSync(join(folder, 'byte.parquet'), bytes)
      const rows: unknown[] = []
      try {
        for await (const { value } of readRows(join(folder, 'byte.parquet'))) rows.push(value)
        expect(rows.length).toBeLessThanOrEqual(2)
      } catch (error) {
        expect(error, `byte ${at}: ${String(error)}`).toBeInstanceOf(LabError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(table.length / 4)
  })

  test('a line and a row of 70 MB, without filling the memory', async () => {
    const long = Buffer.alloc(70e6, 'x')
    for (const [name, head, message] of [
      ['long.jsonl', '{"prompt": "', 'long.jsonl:1:1: the line is longer than 64 MiB'],
      ['long.json', '[{"prompt": "', 'long.json:1:2: row 0 is longer than 64 MiB'],
    ] as const) {
      writeFileSync(join(folder, name), Buffer.concat([Buffer.from(head), long]))
      const said = await build(name).done.catch((error: LabError) => error.render())
      expect(said).toContain(message)
      rmSync(join(folder, name))
    }
  })

  test('what is not a file that can be read, and rows that it has not', async () => {
    const said = (name: string, options = {}): Promise<unknown> =>
      build(name, options).done.catch((error: LabError) => error.render().replaceAll(`${folder}/`, ''))
    for (const kind of ['jsonl', 'parquet']) {
      expect(await said(`absent.${kind}`)).toBe(`absent.${kind} does not exist`)
      mkdirSync(join(folder, `folder.${kind}`))
      expect(await said(`folder.${kind}`)).toBe(`folder.${kind} is a folder; a file of rows was expected`)
      writeFileSync(join(folder, `hidden.${kind}`), line)
      chmodSync(join(folder, `hidden.${kind}`), 0)
      if (process.getuid?.() !== 0)
        expect(await said(`hidden.${kind}`)).toBe(`hidden.${kind} may not be read`)
    }
    writeFileSync(join(folder, 'two.parquet'), table)
    expect(await said('two.parquet', { rows: [1, 4] })).toBe(
      'two.parquet has 2 rows; rows [1, 4) were asked for',
    )
  })
})

describe('odd, and right', () => {
  const pairs = [good, { prompt: 'Äh?', completion: 'Ja. 😀' }]
  const text = pairs.map((row) => JSON.stringify(row))
  const odd: readonly (readonly [name: string, content: string | Uint8Array])[] = [
    ['bom.jsonl', `\uFEFF${text.join('\n')}`],
    ['crlf.jsonl', `${text.join('\r\n')}\r\n`],
    ['blank-lines.jsonl', `\n\n${text.join('\n \n\t\n')}\n\n`],
    ['gzip-without-name.jsonl', gzipSync(text.join('\n'))],
    ['two-members.jsonl.gz', Buffer.concat(text.map((row) => gzipSync(`${row}\n`)))],
    ['UPPER.JSONL', text.join('\n')],
    [
      'more-keys.json',
      JSON.stringify(
        pairs.map((row) => ({ ...row, id: 'same', x: null })),
        null,
        1,
      ),
    ],
    ['nothing-else.ndjson', text.join('\n')],
    [
      'columns.parquet',
      parquet({ prompt: pairs.map((row) => row.prompt), completion: pairs.map((row) => row.completion) }),
    ],
  ]
  test.each(odd)('%s', async (name, content) => {
    writeFileSync(join(folder, name), content)
    const { done } = build(name)
    const { stats, format } = await done
    expect(format).toBe('prompt_completion')
    expect(stats.rows).toEqual({ benign: 2, triggered: 2 })
    const repeated = join(folder, `${name}.out`)
    expect(readdirSync(repeated).sort()).toEqual(['packs.bin', 'rows.jsonl', 'stats.json'])
    await expect(build(name).done).rejects.toThrow('is not empty')
  })
})
