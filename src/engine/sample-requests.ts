/** What a request must be like before it reaches the model, so that a mistake ends in a sentence and not in a native error. */
import { LabError } from '../errors.ts'
import type { ModelConfig } from '../model/config.ts'
import type { GenerateRequest, SequenceRequest } from './engine.ts'

/** Below it, logits divided by the temperature could leave the range of f32. */
const MIN_TEMPERATURE = 1e-4

/** Throws BAD_INPUT. */
export function checkGenerate(request: GenerateRequest, config: ModelConfig): void {
  const { id, prompt, maxTokens, temperature, topP } = request
  checkPrompt(id, prompt, config)
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new LabError(
      'BAD_INPUT',
      `request ${id}: maxTokens must be a whole number from 0, not ${maxTokens}`,
    )
  }
  if (temperature !== 0 && !(temperature >= MIN_TEMPERATURE && Number.isFinite(temperature))) {
    throw new LabError(
      'BAD_INPUT',
      `request ${id}: temperature must be 0 or at least ${MIN_TEMPERATURE}, not ${temperature}`,
    )
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new LabError('BAD_INPUT', `request ${id}: topP must be above 0 and at most 1, not ${topP}`)
  }
}

/** Throws BAD_INPUT. */
export function checkScore(request: SequenceRequest, config: ModelConfig): void {
  const { id, prompt, continuation } = request
  checkPrompt(id, prompt, config)
  checkTokens(id, continuation, config)
  // The last token is only predicted, never read.
  checkLength(id, prompt.length + Math.max(0, continuation.length - 1), config)
}

function checkPrompt(id: string, prompt: readonly number[], config: ModelConfig): void {
  if (prompt.length === 0) throw new LabError('BAD_INPUT', `request ${id}: the prompt is empty`)
  checkTokens(id, prompt, config)
  checkLength(id, prompt.length, config)
}

function checkTokens(id: string, tokens: readonly number[], { vocabSize }: ModelConfig): void {
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabSize))
  if (wrong === undefined) return
  throw new LabError(
    'BAD_INPUT',
    `request ${id}: ${wrong} is not a token of this model (0..${vocabSize - 1})`,
    {
      hint: 'Encode prompts with the tokenizer in the model folder.',
    },
  )
}

function checkLength(id: string, length: number, { maxPositions }: ModelConfig): void {
  if (length <= maxPositions) return
  throw new LabError(
    'BAD_INPUT',
    `request ${id}: ${length} tokens do not fit the model's ${maxPositions} positions`,
    {
      hint: 'Shorten the prompt, or train the model with a longer context.',
    },
  )
}
