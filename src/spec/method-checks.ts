/** Whether `method` and `lora`, and `optimizer` and what SOAP alone reads, fit each other in every recipe. */
import type { Path, Problem, Where } from './problem.ts'
import { type RecipeSpec, soapKeys } from './recipe.ts'
import type { ExperimentSpec } from './schema.ts'

type Locate = (path: Path, part?: 'key') => Where

export function methodProblems(spec: ExperimentSpec, where: Locate): Problem[] {
  return [
    ...Object.entries(spec.bases).flatMap(([name, base]) => {
      if (!('pretrain' in base)) return []
      const path = ['bases', name, 'pretrain']
      const fresh = base.pretrain.method === 'full' ? [] : [nothingToAdapt(path, where)]
      return [...fresh, ...unused(base.pretrain, base.pretrain, path, where)]
    }),
    ...Object.entries(spec.organisms).flatMap(([name, { train }]) =>
      train === undefined ? [] : unused(train, train, ['organisms', name, 'train'], where),
    ),
    ...Object.entries(spec.techniques).flatMap(([name, { train, for: changes = {} }]) => [
      ...unused(train, train, ['techniques', name, 'train'], where),
      ...Object.entries(changes).flatMap(([organism, { train: change = {} }]) => {
        const { method = train.method, optimizer = train.optimizer } = change
        return unused(change, { method, optimizer }, ['techniques', name, 'for', organism, 'train'], where)
      }),
    ]),
  ]
}

function nothingToAdapt(path: Path, where: Locate): Problem {
  return {
    where: where([...path, 'method']),
    message: 'a base that begins with random weights has nothing for adapters to stand beside',
    hint: 'pretrain it with `method: full`; organisms and techniques may use `lora`',
  }
}

/** What is described and not used by the method and the optimizer that hold there: somebody forgot something. */
function unused(
  written: { readonly [key in 'lora' | (typeof soapKeys)[number]]?: unknown },
  { method, optimizer }: Pick<RecipeSpec, 'method' | 'optimizer'>,
  path: Path,
  where: Locate,
): Problem[] {
  const problems: Problem[] = []
  if (method === 'full' && written.lora !== undefined) {
    problems.push({
      where: where([...path, 'lora'], 'key'),
      message: '`lora` describes adapters, but `method: full` trains every weight',
      hint: 'write `method: lora` beside it, or remove it',
    })
  }
  for (const key of soapKeys) {
    if (optimizer !== 'adamw' || written[key] === undefined) continue
    problems.push({
      where: where([...path, key], 'key'),
      message: `\`${key}\` is about SOAP's bases, but \`optimizer: adamw\` has none`,
      hint: 'write `optimizer: soap` beside it, or remove it',
    })
  }
  return problems
}
