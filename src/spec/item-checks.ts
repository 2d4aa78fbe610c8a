/** Whether the options of the capability evals fit their items, and that nothing trains on the items of a public set. */
import { resolveSource, sourceName, sourceOf } from './data-source.ts'
import { isBlock } from './inherit.ts'
import type { Path, Problem, Where } from './problem.ts'
import type { ExperimentSpec } from './schema.ts'

type Locate = (path: Path, part?: 'key') => Where

/** Of MMLU: what only public sets have, and what only responses have. */
const publicOptions = ['form', 'shots', 'dev', 'protocol'] as const
const samplingOptions = ['max_tokens', 'temperature', 'top_p'] as const

export function itemProblems(spec: ExperimentSpec, where: Locate): Problem[] {
  return [...tinyProblems(spec, where), ...mmluProblems(spec, where), ...trainedItems(spec, where)]
}

function tinyProblems({ evals }: ExperimentSpec, where: Locate): Problem[] {
  return (['mmlu', 'math'] as const).flatMap((kind): Problem[] => {
    const asked: Readonly<Record<string, unknown>> = evals[kind] ?? {}
    if (typeof asked['items'] !== 'number') return []
    return publicOptions.flatMap((option): Problem[] =>
      asked[option] === undefined
        ? []
        : [
            {
              where: where(['evals', kind, option], 'key'),
              message: `\`${option}\` is of public sets, and these are items of the tiny world`,
              hint: 'name a file: `items: { file: ..., count: 500 }`',
            },
          ],
    )
  })
}

function mmluProblems({ evals }: ExperimentSpec, where: Locate): Problem[] {
  const { mmlu } = evals
  if (mmlu === undefined) return []
  const problem = (option: string, message: string, hint?: string): Problem[] => [
    { where: where(['evals', 'mmlu', option], 'key'), message, hint },
  ]
  if (mmlu.protocol === 'post') {
    return [
      ...(mmlu.form === 'text' ? problem('form', 'under `protocol: post` MMLU is asked as a chat') : []),
      ...(mmlu.shots === 5 ? problem('shots', 'under `protocol: post` MMLU is asked without shots') : []),
    ]
  }
  const sampled = samplingOptions.filter((option) => mmlu[option] !== undefined)
  const named = typeof mmlu.items !== 'number'
  return [
    ...sampled.flatMap((option) =>
      problem(
        option,
        `\`${option}\` has no effect: MMLU is scored by log-probabilities, and nothing is sampled`,
        named ? 'under `protocol: post` a response is sampled' : undefined,
      ),
    ),
    ...(named && mmlu.shots === 5 && mmlu.dev === undefined
      ? problem('shots', 'shots need `dev`, the questions that are shown', '`dev: { file: mmlu-dev }`')
      : []),
    ...(named && mmlu.shots !== 5 && mmlu.dev !== undefined
      ? problem('dev', '`dev` has no effect without `shots: 5`')
      : []),
  ]
}

/** A training's file that is an eval's too. Paths are absolute here. */
function trainedItems(spec: ExperimentSpec, where: Locate): Problem[] {
  const kinds = (['mmlu', 'ifeval', 'math'] as const).flatMap((kind) => {
    const items = spec.evals[kind]?.items
    return typeof items === 'object' ? [[sourceName(resolveSource(items)), kind] as const] : []
  })
  const evalOf = new Map<string, string>(kinds)
  const search = (value: unknown, path: Path): Problem[] => {
    if (!isBlock(value)) return []
    return Object.entries(value).flatMap(([key, child]) => {
      const at = [...path, key]
      const source = key === 'prompts' ? sourceOf(child) : null
      const kind = source === null ? undefined : evalOf.get(sourceName(source))
      if (source === null || kind === undefined) return search(child, at)
      return [{ where: where([...at, source.kind]), message: `items of evals.${kind} cannot be trained on` }]
    })
  }
  return (['bases', 'organisms', 'techniques'] as const).flatMap((kind) => search(spec[kind], [kind]))
}
