/** Damaged indices of shards. */
import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { anyKey, type Damage, index } from './edit.ts'

const notSafetensors = /declares a header of|is not a safetensors file/

export const ofIndex: Damage[] = [
  {
    name: 'a missing shard',
    spoil: index((_, folder) => rm(join(folder, 'model-00001-of-00002.safetensors'))),
    says: /model-00001-of-00002.safetensors: no such file/,
  },
  {
    name: 'a hundred thousand missing shards',
    spoil: index((map) => {
      for (let i = 0; i < 3e4; i++) map[`t${i}`] = `s${i}.safetensors`
    }),
    says: /safetensors: no such file/,
  },
  {
    name: 'an index that names itself',
    spoil: index((map, _, random) => {
      map[anyKey(map, random)] = 'model.safetensors.index.json'
    }),
    says: notSafetensors,
  },
  {
    name: 'an index that is a shard of itself alone',
    spoil: index((map) => {
      for (const key of Object.keys(map)) map[key] = 'model.safetensors.index.json'
    }),
    says: notSafetensors,
  },
  {
    name: 'shards that are links to each other',
    spoil: index(async (map, folder) => {
      await symlink('ring-b.safetensors', join(folder, 'ring-a.safetensors'))
      await symlink('ring-a.safetensors', join(folder, 'ring-b.safetensors'))
      for (const key of Object.keys(map)) map[key] = 'ring-a.safetensors'
    }),
    says: /is a link to itself/,
  },
  {
    name: 'a shard outside the folder',
    spoil: index((map, _, random) => {
      map[anyKey(map, random)] = random.pick(['../x.safetensors', '/etc/passwd', 'a/b.safetensors', '..', ''])
    }),
    says: /is not a file name/,
  },
  {
    name: 'a tensor in the wrong shard',
    spoil: index((map, folder, random) => {
      map[`${anyKey(map, random)}x`] = 'model-00001-of-00002.safetensors'
      return folder && undefined
    }),
    says: /which the index says it holds/,
  },
  {
    name: 'a tensor that the index forgets',
    spoil: index((map, _, random) => {
      delete map[anyKey(map, random)]
    }),
    says: /is missing from the weights|does not name/,
  },
  {
    name: 'an index of numbers',
    spoil: index((map, _, random) =>
      JSON.stringify({ weight_map: { ...map, a: random.pick<unknown>([1, null, {}, []]) } }),
    ),
    says: /"weight_map\.a"/,
  },
  { name: 'an index that is a list', spoil: index(() => '[]'), says: /index.json: .*expected object/ },
  {
    name: 'an index that is not JSON',
    spoil: index((map, _, random) => JSON.stringify({ weight_map: map }).slice(0, 20 + random.int(50))),
    says: /is not JSON/,
  },
]
