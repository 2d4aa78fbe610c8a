/** Whether `method` and `lora`, and `optimizer` and `precondition_frequency`, of every recipe fit each other and the model that is trained. */
import type { Path, Problem, Where } from './problem.ts'
import type { RecipeSpec } from './recipe.ts'
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
  written: { readonly lora?: unknown; readonly precondition_frequency?: unknown },
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
  if (optimizer === 'adamw' && written.precondition_frequency !== undefined) {
    problems.push({
      where: where([...path, 'precondition_frequency'], 'key'),
      message: "`precondition_frequency` is about SOAP's bases, but `optimizer: adamw` has none",
      hint: 'write `optimizer: soap` beside it, or remove it',
    })
  }
  return problems
}
