/** Damaged config.json and generation_config.json. */
import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { config, type Damage, garbage, replaced } from './edit.ts'

export const ofConfig: Damage[] = [
  {
    name: 'no config',
    spoil: (folder) => rm(join(folder, 'config.json')),
    says: /config.json: no such file/,
  },
  {
    name: 'a config that is not JSON',
    spoil: replaced('config.json', (random) => garbage(random, 200)),
    says: /config.json: is not JSON/,
  },
  {
    name: 'a config that is a list',
    spoil: replaced('config.json', () => '[]'),
    says: /config.json: .*expected object/,
  },
  {
    name: 'a config of megabytes',
    spoil: (folder) => truncate(join(folder, 'config.json'), 2e9),
    says: /has 2000000000 bytes, at most/,
  },
  {
    name: 'a config nested without end',
    spoil: replaced('config.json', () => '{"a":'.repeat(5e5)),
    says: /config.json: is not JSON/,
  },
  {
    name: 'a config of closed brackets without end',
    spoil: replaced('config.json', () => `{"a":${'['.repeat(2e6)}${']'.repeat(2e6)}}`),
    says: /config.json: is not JSON \(brackets nest/,
  },
  {
    name: 'a size of another type',
    spoil: config('hidden_size', (random) => random.pick<unknown>(['64', null, 1.5, -64, 0, {}, 1e300])),
    says: /"hidden_size": /,
  },
  {
    name: 'more layers than there are',
    spoil: config('num_hidden_layers', (random) => 3 + random.int(900)),
    says: /is missing from the weights/,
  },
  {
    name: 'fewer layers than there are',
    spoil: config('num_hidden_layers', () => 1),
    says: /has no place in the model|which the index/,
  },
  {
    name: 'a vocabulary of billions',
    spoil: config('vocab_size', () => 2e9),
    says: /config.json says \[2000000000, /,
  },
  {
    name: 'another feed-forward',
    spoil: config('intermediate_size', (random) => 1000 + random.int(1e9)),
    says: /has shape .*config.json says/,
  },
  {
    name: 'heads that do not divide',
    spoil: config('num_key_value_heads', () => 3),
    says: /is not a multiple of num_key_value_heads/,
  },
  {
    name: 'an odd head',
    spoil: config('head_dim', (random) => 3 + 2 * random.int(100)),
    says: /is odd, but RoPE rotates pairs/,
  },
  {
    name: 'another architecture',
    spoil: config('model_type', (random) => random.pick(['gpt2', 'mamba', '__proto__', 'toString', ''])),
    says: /model_type ".*" is not supported/,
  },
  {
    name: 'another activation',
    spoil: config('hidden_act', () => 'gelu_new'),
    says: /hidden_act "gelu_new" is not supported/,
  },
  {
    name: 'quantised weights',
    spoil: config('quantization_config', () => ({ bits: 4 })),
    says: /quantization_config is not supported/,
  },
  {
    name: 'another rope',
    spoil: config('rope_scaling', (random) => ({
      rope_type: random.pick(['yarn', 'longrope', 'dynamic']),
      factor: 4,
    })),
    says: /rope scaling "\w+" is not supported/,
  },
  {
    name: 'half of a rope',
    spoil: config('rope_scaling', () => ({ rope_type: 'llama3', factor: 8 })),
    says: /rope scaling "llama3" needs/,
  },
  { name: 'an epsilon below zero', spoil: config('rms_norm_eps', () => -1), says: /"rms_norm_eps": / },
  {
    name: 'end tokens of text',
    spoil: replaced('generation_config.json', () => '{"eos_token_id": "end"}'),
    says: /generation_config.json: "eos_token_id"/,
  },
]
