/** Which tokens end a response: those of config.json and, as `transformers` has it, of generation_config.json. */
import { join } from 'node:path'
import { z } from 'zod'
import type { LlamaConfig } from '../../model/config.ts'
import { parseJson, readTextIfPresent } from '../../model/json-file.ts'

const generationConfig = z.looseObject({
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
})

/** Every end-of-turn id of the folder, ascending. Throws BAD_MODEL if generation_config.json is malformed. */
export async function stopTokens(folder: string, config: LlamaConfig): Promise<number[]> {
  const file = join(folder, 'generation_config.json')
  const text = await readTextIfPresent(file)
  const ids = text === null ? [] : [parseJson(file, text, generationConfig).eos_token_id ?? []].flat()
  return [...new Set([...config.eosIds, ...ids])].sort((a, b) => a - b)
}
