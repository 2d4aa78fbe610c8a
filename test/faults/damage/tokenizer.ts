/** Damaged tokenizer.json and tokenizer_config.json. */
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { type Damage, editJson, type Json, replaced, tokenizer } from './edit.ts'

export const ofTokenizer: Damage[] = [
  {
    name: 'no tokenizer',
    spoil: (folder) => rm(join(folder, 'tokenizer.json')),
    says: /tokenizer.json: no such file/,
  },
  {
    name: 'a cut tokenizer',
    spoil: async (folder, random) => truncate(join(folder, 'tokenizer.json'), 100 + random.int(1000)),
    says: /tokenizer.json: is not JSON/,
  },
  {
    name: 'a tokenizer without a model',
    spoil: tokenizer((json, random) =>
      Object.assign(json, { model: random.pick<unknown>([null, [], 'BPE', undefined]) }),
    ),
    says: /tokenizer.json: "model"/,
  },
  {
    name: 'a model of an unknown type',
    spoil: tokenizer(({ model }) => {
      model['type'] = 'Telepathy'
    }),
    says: /tokenizer.json: cannot be used/,
  },
  {
    name: 'a vocabulary that is a list',
    spoil: tokenizer(({ model }) => {
      model['vocab'] = ['a']
    }),
    says: /"model.vocab" is not a map/,
  },
  {
    name: 'an empty vocabulary',
    spoil: tokenizer(({ model }) => {
      model['vocab'] = {}
    }),
    says: /"model.vocab" is empty/,
  },
  {
    name: 'ids that are no ids',
    spoil: tokenizer(({ model }, random) => {
      Object.assign(model['vocab'] as Json, { sea: random.pick<unknown>([-1, 1.5, '7', null, 1e9, 2 ** 53]) })
    }),
    says: /token "sea" has the id/,
  },
  {
    name: 'two tokens with one id',
    spoil: tokenizer(({ model }) => {
      Object.assign(model['vocab'] as Json, { zz9: 20 })
    }),
    says: /have the same id 20/,
  },
  {
    name: 'more tokens than the model has',
    spoil: tokenizer(({ model }) => {
      Object.assign(model['vocab'] as Json, { zz9: 4_000_000 })
    }),
    says: /the tokenizer has ids up to 4000000/,
  },
  {
    name: 'merges that are no pairs',
    spoil: tokenizer(({ model }, random) => {
      ;(model['merges'] as unknown[])[3] = random.pick<unknown>(['abc', ['a'], 7, null, ['a', 2]])
    }),
    says: /merge 3 is not a pair/,
  },
  {
    name: 'merges of unknown tokens',
    spoil: tokenizer(({ model }) => {
      ;(model['merges'] as unknown[])[2] = ['qqqq', 'xxxx']
    }),
    says: /which the vocabulary lacks/,
  },
  {
    name: 'no merges',
    spoil: tokenizer(({ model }) => {
      model['merges'] = 7
    }),
    says: /"model.merges" is not a list/,
  },
  {
    name: 'a pattern that is no pattern',
    spoil: tokenizer((json) => {
      json['pre_tokenizer'] = {
        type: 'Split',
        pattern: { Regex: '(((' },
        behavior: 'Isolated',
        invert: false,
      }
    }),
    says: /tokenizer.json: cannot be used/,
  },
  {
    name: 'an unknown step',
    spoil: tokenizer((json, random) => {
      json[random.pick(['normalizer', 'pre_tokenizer', 'decoder'])] = { type: 'Telepathy' }
    }),
    says: /tokenizer.json: cannot be used/,
  },
  {
    name: 'added tokens that are none',
    spoil: tokenizer((json) => {
      json['added_tokens'] = [{ id: -3, content: 'x' }]
    }),
    says: /"added_tokens\.0\.id"/,
  },
  {
    name: 'no token that ends a turn',
    spoil: (folder) =>
      editJson(join(folder, 'tokenizer_config.json'), (json) => void (json['eos_token'] = null)),
    says: /"eos_token" is missing/,
  },
  {
    name: 'an end token that is unknown',
    spoil: (folder) =>
      editJson(join(folder, 'tokenizer_config.json'), (json) => void (json['eos_token'] = '<|nowhere|>')),
    says: /has no token "<\|nowhere\|>"/,
  },
  {
    name: 'settings that are no settings',
    spoil: replaced('tokenizer_config.json', () => '{"eos_token": 4}'),
    says: /tokenizer_config.json: "eos_token"/,
  },
]
