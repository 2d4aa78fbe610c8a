/** Opens a model or adapter folder that others made: all in it that can be wrong is looked at, but for the values of the weights. */
import { LabError } from '../errors.ts'
import type { ModelConfig } from './config.ts'
import { openTokenizer, type Tokenizer } from './tokenizer.ts'
import { checkParts, partsOf, tokenizerFolderOf } from './weights-of.ts'

export interface OpenedModel {
  readonly config: ModelConfig
  readonly tokenizer: Tokenizer
  /** Where the tokenizer's files lie. */
  readonly tokenizerFolder: string
}

/**
 * Reads the configuration, the headers of the weights (unless they are not there yet) and the tokenizer with its chat
 * template. Throws BAD_MODEL. `readWeights` (folder.ts) looks at the values.
 */
export async function openModelFolder(
  folder: string,
  { weights = true }: { readonly weights?: boolean } = {},
): Promise<OpenedModel> {
  const parts = await partsOf(folder)
  const { config } = parts
  if (weights) await checkParts(parts)
  const tokenizerFolder = await tokenizerFolderOf(parts)
  const tokenizer = await openTokenizer(tokenizerFolder)
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new LabError(
      'BAD_MODEL',
      `${folder}: the tokenizer has ids up to ${tokenizer.vocabSize - 1}, but the model has ${config.vocabSize} tokens`,
    )
  }
  return { config, tokenizer, tokenizerFolder }
}
