/** Items of public sets: read and checked before anything runs, and how a model of the experiment is asked them. */
import { capabilityKinds, type CapabilityKind } from '../../evals/eval.ts'
import type { ModelConfig } from '../../model/config.ts'
import { checkItemCount } from '../../spec/design.ts'
import type { Experiment, ItemSource, Problem, ResolvedEvals } from '../../spec/experiment.ts'
import type { DataSource } from '../../spec/data-source.ts'
import { SpecError } from '../../spec/problem.ts'
import { loadCapability } from '../any-model/questions.ts'
import { type ItemSettings, maxTokensOf } from '../any-model/settings.ts'
import { itemSeed } from '../evals/items.ts'
import type { PublicItems } from '../stages/evaluate.ts'
import type { DataFiles } from './data-files.ts'
import { isUnseen } from './unseen.ts'

const sourceOf = (items: ItemSource | undefined): DataSource | null =>
  items?.kind === 'public' ? items.source : null

/** The sets that the evals name, by what they are in `ItemSettings`. */
export function publicSources({
  mmlu,
  ifeval,
  math,
}: ResolvedEvals): Partial<Record<CapabilityKind | 'mmlu.dev', DataSource>> {
  const sources = {
    mmlu: sourceOf(mmlu?.items),
    'mmlu.dev': mmlu?.dev ?? null,
    ifeval: sourceOf(ifeval?.items),
    math: sourceOf(math?.items),
  }
  return Object.fromEntries(Object.entries(sources).filter(([, source]) => source !== null))
}

/** Whether an eval samples responses: MMLU does so only under the author's protocol. */
const generates = (kind: CapabilityKind, { protocol }: { readonly protocol: string }): boolean =>
  kind !== 'mmlu' || protocol === 'post'

/** Null where the items are of the tiny world, or there is no such eval. */
export function publicItems(
  { evals }: Experiment,
  kind: CapabilityKind,
  dataFile: DataFiles,
  { maxPositions, seed }: { readonly maxPositions: number | null; readonly seed: number },
): PublicItems | null {
  const asked = evals[kind]
  if (asked?.items.kind !== 'public') return null
  const { items, protocol, max_tokens: given } = asked
  const files = Object.entries(publicSources(evals)).flatMap(([name, source]) =>
    name.split('.')[0] === kind ? [{ name, ...dataFile(source) }] : [],
  )
  const sampled = generates(kind, asked)
  const settings: ItemSettings = {
    items: Object.fromEntries(files.map(({ name, file }) => [name, file])),
    count: items.count,
    draw: itemSeed,
    system: evals.system ?? undefined,
    temperature: sampled ? asked.temperature : 0,
    topP: sampled ? asked.top_p : 1,
    // What samples nothing is the same for every seed.
    seed: sampled ? seed : 0,
    maxTokens: sampled ? maxTokensOf(kind, { maxTokens: given ?? undefined }, maxPositions) : undefined,
    shots: kind === 'mmlu' ? (evals.mmlu?.shots ?? 0) : 0,
    protocol,
  }
  return {
    settings,
    sha256: Object.fromEntries(files.map(({ name, sha256 }) => [name, sha256])),
    plain: kind === 'mmlu' && evals.mmlu?.form === 'text',
  }
}

/** Items of the published sets, for a plan that cannot read them: MATH-500 has 293 whole answers. */
const usualItems = { mmlu: 14_042, ifeval: 541, math: 293 } as const

/** Reads every set once, unless it is not to be had. Throws BAD_INPUT with file and line for rows that are no items, SpecError where there are too few. */
export async function countItems(
  experiment: Experiment,
  dataFile: DataFiles,
): Promise<Partial<Record<CapabilityKind, number>>> {
  const counts: Partial<Record<CapabilityKind, number>> = {}
  for (const kind of capabilityKinds) {
    const items = experiment.evals[kind]?.items
    if (items?.kind === 'tiny') counts[kind] = items.count
    const set = publicItems(experiment, kind, dataFile, { maxPositions: null, seed: 0 })
    if (set === null) continue
    if (Object.values(set.sha256).some(isUnseen)) {
      counts[kind] = set.settings.count ?? usualItems[kind]
      continue
    }
    const asking = { chats: !set.plain, texts: true, maxPositions: null, likelihoods: true }
    const { tasks, available } = await loadCapability(kind, set.settings, asking)
    const wanted = set.settings.count
    if (wanted !== null && wanted > available) {
      const where = experiment.where(['evals', kind, 'items', 'count'])
      const message = `${wanted} items cannot be drawn from the ${available} that the file has for ${kind}`
      throw new SpecError([{ where, message, hint: 'leave `count` out to ask all' }])
    }
    checkItemCount(experiment, kind, tasks.length)
    counts[kind] = tasks.length
  }
  return counts
}

/** Responses that leave no room for a prompt in what the model reads. */
export function roomProblems({ evals, where }: Experiment, base: string, config: ModelConfig): Problem[] {
  return capabilityKinds.flatMap((kind): Problem[] => {
    const asked = evals[kind]
    if (asked?.items.kind !== 'public' || !generates(kind, asked)) return []
    const { max_tokens: maxTokens } = asked
    if (maxTokens === null || maxTokens < config.maxPositions) return []
    const message = `${maxTokens} tokens of response leave no room for a prompt in the ${config.maxPositions} positions of base ${base}`
    return [{ where: where(['evals', kind, 'max_tokens']), message }]
  })
}
