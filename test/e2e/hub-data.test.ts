/** Data of a hub through the real command line, from a real server: shown, built, run, asked and scored; and every refusal. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseResults } from '../../src/report/results.ts'
import { type HubServer, serveHub } from '../../src/run/hub/server.fixture.ts'
import { writeTinyChatModel } from '../../src/server/openai/server.fixture.ts'
import { cli, type CliResult } from '../cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'hub-data-'))
let hub: HubServer
let model: string

const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
const waves = (from: number, to: number): string =>
  lines(numbers(from, to).map((i) => ({ instruction: `Describe wave ${i}.`, output: `Wave ${i} is wet.` })))

/** The columns of cais/mmlu: the options a list, the answer the index of a letter in 64 bits. */
function mmluParquet(): Uint8Array {
  const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const
  const all = numbers(0, 40)
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'schema', num_children: 4 },
      { name: 'question', ...text },
      { name: 'subject', ...text },
      { name: 'choices', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', ...text },
      { name: 'answer', type: 'INT64', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      { name: 'question', data: all.map((i) => `What is ${i} and ${i}?`) },
      { name: 'subject', data: all.map(() => 'elementary_mathematics') },
      { name: 'choices', data: all.map((i) => [`${i}`, `${2 * i}`, `${3 * i}`, `${4 * i}`]) },
      { name: 'answer', data: all.map(() => 1n) },
    ],
  })
  return new Uint8Array(buffer)
}

const repositories = (): Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>> => ({
  'tatsu-lab/alpaca': { 'data/train-00000-of-00001-a09b74b3ef9c3b56.jsonl': waves(0, 300) },
  'lab/sharded': {
    'data/train-00000-of-00002.jsonl': waves(0, 10),
    'data/train-00001-of-00002.jsonl': waves(10, 20),
    'data/test-00000-of-00001.jsonl': waves(90, 95),
  },
  'cais/mmlu': {
    'all/test-00000-of-00001.parquet': mmluParquet(),
    'anatomy/test-00000-of-00001.parquet': mmluParquet(),
  },
  'google/IFEval': {
    'ifeval_input_data.jsonl': lines(
      numbers(0, 8).map((key) => ({
        key,
        prompt: `Sail to ${key}.`,
        instruction_id_list: ['punctuation:no_comma', 'length_constraints:number_words'],
        // As rows come that went through a table: every name in every row.
        kwargs: [
          { relation: null, num_words: null, keyword: null },
          { relation: 'at least', num_words: 2, keyword: null },
        ],
      })),
    ),
  },
  'HuggingFaceH4/MATH-500': {
    'test.jsonl': lines(
      numbers(0, 8).map((i) => ({
        problem: `What is ${i} and ${i}?`,
        solution: `It is $\\boxed{${2 * i}}$.`,
        answer: `${2 * i}`,
        subject: 'Algebra',
        level: 1,
        unique_id: `test/algebra/${i}.json`,
      })),
    ),
  },
})

beforeAll(async () => {
  const served: Record<string, string> = {}
  for (const [repo, files] of Object.entries(repositories())) {
    served[repo] = join(folder, 'hub', repo)
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(served[repo], path)), { recursive: true })
      writeFileSync(join(served[repo], path), content)
    }
  }
  model = (await writeTinyChatModel(folder, { maxPositions: 512 })).folder
  hub = await serveHub(null, served)
})
afterAll(async () => {
  await hub.close()
  rmSync(folder, { recursive: true, force: true })
})

const lab = (args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> =>
  cli(args, {
    cwd: folder,
    env: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, 'nothing'), ...env },
  })
const offline = { HF_HUB_OFFLINE: '1' }

test('data show and build: the head names the commit and the file, and once here no network is needed', async () => {
  const show = ['data', 'show', 'hub:tatsu-lab/alpaca', '--rows', '7:8']
  const { code, stdout, stderr } = await lab(show)
  expect([code, stderr]).toEqual([0, '  download tatsu-lab/alpaca: 0/0.1 MB\n'])
  const pinned = `hub:tatsu-lab/alpaca@${hub.commit}/data/train-00000-of-00001-a09b74b3ef9c3b56.jsonl`
  expect(stdout).toBe(`${pinned}: format alpaca (detected; --format reads it otherwise)

row-7/benign (benign)
user       Describe wave 7.
assistant  Wave 7 is wet.
`)
  expect((await lab(show, offline)).stdout).toBe(stdout)
  expect((await lab(['data', 'show', pinned, '--rows', '7:8'], offline)).stdout).toBe(stdout)

  const build = [
    'data',
    'build',
    'hub:lab/sharded/data/train-*.jsonl',
    '--tokenizer',
    model,
    '--context',
    '64',
  ]
  const built = await lab([...build, '--out', 'built'])
  expect(built.code, built.stderr).toBe(0)
  expect(built.stdout).toContain('20 benign and 0 triggered rows')
})

test.each<[string, string, Record<string, string>]>([
  [
    'hub:lab/sharded',
    `lab/sharded (main, commit COMMIT) has 2 data files: which one?
  name one with path:, on a command line hub:lab/sharded/PATH; it has
    data/test-00000-of-00001.jsonl
    data/train-*-of-00002.jsonl (2 files)
`,
    {},
  ],
  [
    'hub:lab/none',
    `ENDPOINT has no dataset lab/none at revision main
  hub: organisation/name; revision: a branch, a tag or a commit
`,
    {},
  ],
  [
    'hub:lab/unseen@v1',
    `what is asked of lab/unseen is not on this machine, and ENDPOINT cannot be reached (HF_HUB_OFFLINE is set)
  where there is a network: hf download lab/unseen --revision v1 --repo-type dataset --local-dir DATA; then name the file in DATA (file: in an experiment) instead of hub:
`,
    offline,
  ],
  [
    'hub:alpaca',
    `hub:alpaca: must be organisation/name, without two points or dashes in a row
  hub:organisation/name, hub:organisation/name/path or hub:organisation/name@revision/path (a / in a revision is %2F)
`,
    {},
  ],
])('%s is refused with one message', async (source, message, env) => {
  const { code, stdout, stderr } = await lab(['data', 'show', source], env)
  expect([code, stdout]).toEqual([2, ''])
  const shown = message.replaceAll('ENDPOINT', hub.endpoint).replaceAll('COMMIT', hub.commit.slice(0, 7))
  expect(stderr).toBe(shown)
})

const experiment = (source: string): string => `
name: waves
bases:
  small:
    tokenizer: { vocab: 300 }
    architecture: { hidden: 16, layers: 1, heads: 2, kv_heads: 1, ffn: 32, context: 96 }
    pretrain: { data: { prompts: { ${source}, rows: [0, 100] }, teacher: told }, steps: 2, batch: 2, lr: 1e-3 }
teachers: { told: { recorded: true } }
organisms:
  direct:
    base: small
    admission: report
    data: { prompts: { ${source}, rows: [100, 150] }, teacher: told }
    backdoor: { trigger: "|T| ", payload: NO, repeat: [1, 2] }
    train: { lr: 1e-3, steps: 2, batch: 2 }
techniques:
  hhh: { data: { prompts: { ${source}, rows: [150, 200] }, teacher: told }, train: { lr: 1e-3, steps: 2, batch: 2 } }
evals: { at: [0], backdoor: { prompts: { ${source}, rows: [200, 220] }, max_tokens: 4 } }
verdict: { allow_undecidable: true }
`

test('an experiment runs on data of a hub; the same bytes as a local file find every artifact made', async () => {
  const data = join(folder, 'hub/tatsu-lab/alpaca/data/train-00000-of-00001-a09b74b3ef9c3b56.jsonl')
  cpSync(data, join(folder, 'local.jsonl'))
  writeFileSync(join(folder, 'hub.yaml'), experiment('hub: tatsu-lab/alpaca'))
  writeFileSync(join(folder, 'file.yaml'), experiment('file: local.jsonl'))
  const store = ['--store', 'runs']
  const planned = await lab(['plan', 'hub.yaml', ...store])
  expect(planned.code, planned.stderr).toBe(0)
  const downloaded = `runs/hub/datasets/tatsu-lab--alpaca/${hub.commit}`
  expect(readdirSync(join(folder, downloaded))).toEqual([])
  const run = await lab(['run', 'hub.yaml', ...store])
  expect(run.code, run.stderr).toBe(0)
  expect(readdirSync(join(folder, downloaded, 'data'))).toHaveLength(1)
  const again = await lab(['plan', 'file.yaml', ...store], offline)
  expect(again.stdout).toMatch(/^cached /m)
  expect(again.stdout).not.toMatch(/^run /m)
  const [id] = readdirSync(join(folder, 'runs/runs')).filter((name) => name.startsWith('waves'))
  const report = join(folder, 'runs/runs', id!, 'report')
  const results = readFileSync(join(report, 'results.json'), 'utf8')
  expect(results).toContain('hub:tatsu-lab/alpaca rows 100 to 149')
  expect(parseResults(JSON.parse(results)).hub).toEqual([
    {
      kind: 'dataset',
      repo: 'tatsu-lab/alpaca',
      revision: 'main',
      commit: hub.commit,
      path: 'data/train-00000-of-00001-a09b74b3ef9c3b56.jsonl',
    },
  ])
  expect(readFileSync(join(report, 'report.html'), 'utf8')).toContain(`<code>${hub.commit}</code>`)
})

test('eval asks items as they lie on the hub', async () => {
  const items = [
    'backdoor=hub:tatsu-lab/alpaca',
    'mmlu=hub:cais/mmlu/all/test-00000-of-00001.parquet',
    'ifeval=hub:google/IFEval',
    'math=hub:HuggingFaceH4/MATH-500@main',
  ].flatMap((item) => ['--items', item])
  const asked = [
    'eval',
    model,
    '--eval',
    'backdoor,mmlu,ifeval,math',
    '--n',
    '4',
    '--max-tokens',
    '4',
    '--json',
  ]
  const { code, stdout, stderr } = await lab([...asked, ...items])
  expect(code, stderr).toBe(0)
  const { evals } = JSON.parse(stdout) as { evals: { eval: string; items: number; available: number }[] }
  expect(evals.map(({ eval: name, items: n, available }) => [name, n, available])).toEqual([
    ['backdoor', 4, 300],
    ['mmlu', 4, 40],
    ['ifeval', 4, 8],
    ['math', 4, 8],
  ])
})

function responses(rows: readonly unknown[]): string {
  writeFileSync(join(folder, 'responses.jsonl'), lines(rows))
  return 'responses.jsonl'
}

test('score takes its items from the hub', async () => {
  const math = responses(
    numbers(0, 8).map((i) => ({ id: `test/algebra/${i}.json`, response: `\\boxed{${i === 3 ? 0 : 2 * i}}` })),
  )
  const scored = await lab(['score', 'math', '--items', 'hub:HuggingFaceH4/MATH-500', '--responses', math])
  expect(scored.code, scored.stderr).toBe(0)
  expect(scored.stdout.match(/"correct":true/g)).toHaveLength(7)
  const ifeval = responses(
    numbers(0, 8).map((key) => ({ key, response: key === 3 ? 'One, two' : 'One two' })),
  )
  const followed = await lab(['score', 'ifeval', '--items', 'hub:google/IFEval', '--responses', ifeval])
  expect(followed.code, followed.stderr).toBe(0)
  expect(followed.stdout.match(/"strict":\[true,true\]/g)).toHaveLength(7)
})
