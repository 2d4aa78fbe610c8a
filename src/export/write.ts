/** Writes an evaluation in the formats of other programs. */
import type { Evaluation } from '../run/eval/evaluate.ts'

export async function writeExports(_out: string, _evaluation: Evaluation): Promise<void> {}
