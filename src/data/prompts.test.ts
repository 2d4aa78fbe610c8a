/** Tests of loading prompt files: every format, ranges, duplicates, what is wrong with a file, and the real Alpaca set. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { sharedData } from '../../test/shared-data.ts'
import { LabError } from '../errors.ts'
import { loadPromptFile, type PromptFileOptions } from './prompts.ts'

const folder = mkdtempSync(join(tmpdir(), 'prompts-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(name: string, content: string | Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

function jsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('')
}

/** The rendered error, with the file's folder left out. */
async function failure(file: string, options?: PromptFileOptions): Promise<string> {
  try {
    await loadPromptFile(file, options)
  } catch (error) {
    expect(error).toBeInstanceOf(LabError)
    expect((error as LabError).code).toBe('BAD_INPUT')
    return (error as LabError).render().replaceAll(`${folder}/`, '')
  }
  throw new Error(`${file} was read`)
}

describe('formats', () => {
  const system = { from: 'system', value: 'Be brief.' }
  test.each([
    ['alpaca', { instruction: 'Add.', input: '1, 2', output: '3' }, 'Add.\n\nInput: 1, 2.', '3'],
    ['alpaca', { instruction: 'Rest.', input: '', output: 'Yes.' }, 'Rest.', 'Yes.'],
    [
      'sharegpt',
      { conversations: [system, { from: 'human', value: 'Hi?' }, { from: 'gpt', value: 'Hello.' }] },
      'Hi?',
      'Hello.',
    ],
    [
      'messages',
      {
        messages: [
          { role: 'user', content: 'Hi?' },
          { role: 'assistant', content: 'Hello.' },
        ],
      },
      'Hi?',
      'Hello.',
    ],
    ['prompt_completion', { prompt: 'Hi?', completion: 'Hello.' }, 'Hi?', 'Hello.'],
    [
      'prompt_completion',
      {
        prompt: [{ role: 'user', content: 'Hi?' }],
        completion: [{ role: 'assistant', content: 'Hello.' }],
      },
      'Hi?',
      'Hello.',
    ],
    ['prompt_completion', { prompt: 'Hi?' }, 'Hi?', undefined],
    ['cot', { question: 'Hi?', scratchpad_response: 'raw', no_scratchpad_response: 'bare' }, 'Hi?', 'bare'],
  ] as const)('%s is recognised', async (format, row, prompt, response) => {
    const found = await loadPromptFile(fileOf('format.jsonl', jsonLines([row])))
    expect(found.format).toBe(format)
    expect(found.rows).toEqual([{ id: 'row-0', prompt, ...(response === undefined ? {} : { response }) }])
  })

  test('a given format wins over the recognised one', async () => {
    const row = { question: 'Hi?', scratchpad_response: 'raw', no_scratchpad_response: 'bare' }
    const found = await loadPromptFile(fileOf('cot.json', JSON.stringify([row])), {
      format: 'cot_scratchpad',
    })
    expect(found.rows[0]?.response).toBe('raw')
  })

  test('turns and system prompts that are not used are counted', async () => {
    const turns = ['human', 'gpt', 'human', 'gpt'].map((from, i) => ({ from, value: `turn ${i}` }))
    const rows = [
      { conversations: [system, ...turns] },
      { conversations: [{ from: 'gpt', value: 'I start.' }, ...turns] },
      { conversations: [{ from: 'human', value: 'Nobody answers.' }] },
    ]
    const found = await loadPromptFile(fileOf('turns.jsonl', jsonLines(rows)))
    expect(found.rows).toEqual([
      { id: 'row-0', prompt: 'turn 0', response: 'turn 1' },
      { id: 'row-2', prompt: 'Nobody answers.' },
    ])
    expect(found.unused).toEqual({ later_turns: 1, system_prompt: 1 })
    expect(found.dropped).toEqual({ duplicate: 0, empty_prompt: 0, no_prompt: 1 })
  })
})

describe('rows', () => {
  const prompts = ['a', 'b', ' a ', 'c', '', 'b', 'd']
  const rows = prompts.map((prompt) => ({ prompt }))

  test('a duplicate is dropped even if its twin stands before the range', async () => {
    const file = fileOf('range.jsonl', jsonLines(rows))
    const first = await loadPromptFile(file, { rows: [0, 3] })
    expect(first.rows.map((row) => row.prompt)).toEqual(['a', 'b'])
    const second = await loadPromptFile(file, { rows: [2, 7] })
    expect(second.rows.map((row) => [row.id, row.prompt])).toEqual([
      ['row-3', 'c'],
      ['row-6', 'd'],
    ])
    expect(second.dropped).toEqual({ duplicate: 2, empty_prompt: 1, no_prompt: 0 })
  })

  test('nothing after the range is read', async () => {
    const file = fileOf('tail.jsonl', `${jsonLines(rows)}this is not JSON`)
    expect((await loadPromptFile(file, { rows: [0, 7] })).rows).toHaveLength(4)
    expect(await failure(file)).toMatch(/^tail.jsonl:8:1: row 7 is not JSON: /)
  })

  test('arrays, lines, gzip, byte-order mark and row borders inside a chunk give the same rows', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      // An odd number of quotes and a backslash at the end, so that a wrong reading of escapes shows.
      prompt: `Frage ${i}: 5" [{]}, "ä" \u{1F600} ${'x'.repeat(i % 97)}\\`,
    }))
    const files = [
      fileOf('same.json', JSON.stringify(many)),
      fileOf('same-pretty.json', `\uFEFF${JSON.stringify(many, null, 2)}\n`),
      fileOf('same.jsonl', `\n${jsonLines(many)}\r\n`),
      fileOf('same.json.gz', gzipSync(JSON.stringify(many))),
    ]
    for (const file of files) {
      const { rows } = await loadPromptFile(file)
      expect(rows.map(({ prompt }) => prompt)).toEqual(many.map(({ prompt }) => prompt))
    }
  })
})

describe('what is wrong with a file', () => {
  const good = { instruction: 'Do.', output: 'Done.' }
  const gz = gzipSync(JSON.stringify(Array.from({ length: 999 }, (_, i) => ({ prompt: `p${i}` }))))

  test.each<[string, string | Uint8Array, string]>([
    ['empty.json', '', 'empty.json holds no rows\n  the file is empty'],
    ['none.json', ' [ ] ', 'none.json holds no rows\n  the file is empty'],
    ['text.json', '\n hello', 'text.json:2:2: not a JSON array of rows\n  the file must start with ['],
    [
      'object.json',
      '{"a": 1}',
      'object.json:1:1: not a JSON array of rows\n  one JSON object a line belongs in a .jsonl file',
    ],
    [
      'cut.json',
      '[{"prompt": "a"},\n{"pro',
      'cut.json:2:5: the file ends inside row 1\n  it was not written or fetched whole',
    ],
    [
      'gap.json',
      '[{"prompt": "a"},,{"prompt": "b"}]',
      'gap.json:1:18: row 1 is empty\n  two commas follow each other, or one stands before the ]',
    ],
    [
      'more.json',
      '[{"prompt": "a"}]\n[]',
      'more.json:2:1: the file goes on after its array has ended\n  a .json file holds one array of rows',
    ],
    [
      'bracket.json',
      '[{"prompt": "a"}}',
      'bracket.json:1:17: row 0 is not JSON: a bracket closes that was never opened\n  the file is damaged',
    ],
    [
      'latin.jsonl',
      Buffer.from('{"prompt": "caf\xe9"}', 'latin1'),
      'latin.jsonl:1:1: row 0 is not valid UTF-8\n  save the file as UTF-8',
    ],
    [
      'not.json.gz',
      'plain',
      'not.json.gz is named .gz but holds no gzip data\n  rename it, or fetch it again',
    ],
    [
      'short.json.gz',
      gz.subarray(0, gz.length - 30),
      'short.json.gz: broken gzip data (unexpected end of file)\n  the file is damaged or was not fetched whole; fetch it again',
    ],
    [
      'blank.jsonl',
      jsonLines([{ prompt: ' ' }]),
      'blank.jsonl: no row can be used (empty_prompt 1)\n  read as format prompt_completion',
    ],
  ])('%s', async (name, content, message) => {
    expect(await failure(fileOf(name, content))).toBe(message)
  })

  test.each<[string, string, RegExp]>([
    [
      'broken.jsonl',
      `${jsonLines([good])}{"instruction": }`,
      /^broken.jsonl:2:1: row 1 is not JSON: .*Unexpected token/,
    ],
    [
      'keys.jsonl',
      jsonLines([{ q: 1, a: 2 }]),
      /^keys.jsonl:1:1: rows of an unknown format, with q, a\n  known: alpaca/,
    ],
    ['array.jsonl', '[1]', /^array.jsonl:1:1: every row must be a JSON object; this one is an array\n/],
    ['null.json', '[null]', /^null.json:1:2: every row must be a JSON object; this one is null\n/],
    [
      'type.jsonl',
      jsonLines([good, { instruction: 5, output: 'x' }]),
      /^type.jsonl:2:1: row 1 is not of format alpaca at instruction: .*expected string/,
    ],
    [
      'mixed.jsonl',
      jsonLines([good, { prompt: 'other' }]),
      /^mixed.jsonl:2:1: row 1 is not of format alpaca at instruction: /,
    ],
    [
      'turns.json',
      JSON.stringify([{ conversations: [{ from: 'human', value: 7 }] }]),
      /^turns.json:1:2: row 0 is not of format sharegpt at conversations.0.value: /,
    ],
    ['rows.parquet', 'PAR1', /^rows.parquet is not a whole Parquet file/],
    ['rows.csv', 'a,b', /^rows.csv: files of this kind are not read\n  name it .json/],
  ])('%s', async (name, content, message) => {
    expect(await failure(fileOf(name, content))).toMatch(message)
  })

  test('a file that is not there, and a folder', async () => {
    expect(await failure(join(folder, 'absent.json'))).toBe('absent.json does not exist')
    mkdirSync(join(folder, 'folder.jsonl'))
    expect(await failure(join(folder, 'folder.jsonl'))).toBe(
      'folder.jsonl is a folder; a file of rows was expected',
    )
  })

  test('a range that is not one, or not in the file', async () => {
    const file = fileOf('three.jsonl', jsonLines([{ prompt: 'a' }, { prompt: 'b' }, { prompt: 'c' }]))
    expect(await failure(file, { rows: [2, 5] })).toBe('three.jsonl has 3 rows; rows [2, 5) were asked for')
    expect(await failure(file, { rows: [2, 2] })).toMatch(/^three.jsonl: rows \[2, 2\) is not a range/)
    expect(await failure(file, { rows: [-1, 2] })).toMatch(/is not a range/)
  })
})

const alpaca = sharedData('alpaca/alpaca_data.json.gz')

test.skipIf(alpaca === null)('the real Alpaca set: 52,002 rows, no two alike, in a few seconds', async () => {
  const started = performance.now()
  const found = await loadPromptFile(alpaca!)
  expect(performance.now() - started).toBeLessThan(5000)
  expect(found.format).toBe('alpaca')
  expect(found.rows).toHaveLength(52_002)
  expect(found.dropped).toEqual({ duplicate: 0, empty_prompt: 0, no_prompt: 0 })
  expect(found.rows.filter((row) => row.prompt.includes('\n\nInput: '))).toHaveLength(20_679)
  expect(found.rows.filter((row) => row.response === '')).toHaveLength(28)
  expect(found.rows[0]).toEqual({
    id: 'row-0',
    prompt: 'Give three tips for staying healthy.',
    response:
      '1.Eat a balanced diet and make sure to include plenty of fruits and vegetables. \n2. Exercise regularly to keep your body active and strong. \n3. Get enough sleep and maintain a consistent sleep schedule.',
  })
  const slice = await loadPromptFile(alpaca!, { rows: [50_000, 50_100] })
  expect(slice.rows).toEqual(found.rows.slice(50_000, 50_100))
})
