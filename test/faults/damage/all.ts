/** Model folders damaged in every way that we could think of: seeded, each with the message that it must be refused with. */
import { ofConfig } from './config.ts'
import type { Damage } from './edit.ts'
import { ofIndex } from './index-file.ts'
import { ofTemplate } from './template.ts'
import { ofTokenizer } from './tokenizer.ts'
import { ofWeights } from './weights.ts'

export const damages: readonly Damage[] = [
  ...ofWeights,
  ...ofIndex,
  ...ofConfig,
  ...ofTokenizer,
  ...ofTemplate,
]
