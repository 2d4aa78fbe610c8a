/** The events that the torch package writes, one JSON object a line: checked, and as this side calls them. */
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import type { StepMetrics } from '../engine.ts'
import { withTail } from './child.ts'

const step = z.int().nonnegative()
const time = z.string()

const eventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('start'),
    time,
    step,
    parameters: z.int().positive(),
    trainable: z.int().positive(),
    world: z.int().positive(),
    distributed: z.enum(['none', 'fsdp2']),
    device: z.string(),
    dtype: z.string(),
    attention: z.string(),
  }),
  z.strictObject({
    type: z.literal('step'),
    time,
    step: z.int().positive(),
    loss: z.number(),
    lr: z.number(),
    grad_norm: z.number(),
    tokens: z.int(),
    scored: z.int(),
    tokens_per_second: z.number(),
  }),
  z.strictObject({ type: z.literal('checkpoint'), time, step: z.int().positive(), folder: z.string() }),
  z.strictObject({ type: z.literal('preempted'), time, step }),
  z.strictObject({
    type: z.literal('error'),
    time,
    code: z.string(),
    message: z.string(),
    hint: z.string().nullish(),
  }),
  z.strictObject({ type: z.literal('note'), time, message: z.string() }),
  z.strictObject({ type: z.literal('end'), time, step }),
])

export type TorchEvent = z.infer<typeof eventSchema>
export type TorchStep = Extract<TorchEvent, { type: 'step' }>
export type TorchFailure = Extract<TorchEvent, { type: 'error' }>

/** Throws ENGINE for a line that is no event. */
export function parseEvent(line: string, file: string): TorchEvent {
  const parsed = eventSchema.safeParse(jsonOf(line))
  if (parsed.success) return parsed.data
  const shown = line.length > 200 ? `${line.slice(0, 200)}...` : line
  const [issue] = parsed.error.issues
  const why = issue === undefined ? '' : ` (${[...issue.path, issue.message].join(' ')})`
  throw new LabError('ENGINE', `${file}: not an event of the torch package${why}: ${shown}`, {
    hint: 'The package in python/ and this program must be of one version.',
  })
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

export function metricsOf({ step, loss, lr, grad_norm, tokens, scored }: TorchStep): StepMetrics {
  return { step, loss, lr, gradNorm: grad_norm, tokens, scored }
}

/** What the user can mend by another file or model is bad input; the rest is the engine's. */
const inputCodes = new Set(['bad_input', 'bad_job', 'job'])
const modelCodes = new Set(['bad_model', 'model'])

export function failureOf({ code, message, hint }: TorchFailure, log: string): LabError {
  const known = inputCodes.has(code) ? 'BAD_INPUT' : modelCodes.has(code) ? 'BAD_MODEL' : 'ENGINE'
  const what = `torch: ${message}`
  const advice = hint ? [hint] : []
  if (known !== 'ENGINE')
    return new LabError(known, what, { hint: [...advice, `The log is ${log}.`].join(' ') })
  // Who was lost could not tell; what started it has seen how it ended.
  return new LabError(known, code === 'peer_lost' ? withTail(what, log) : what, {
    hint: [...advice, `The same command goes on from the last saved step; the log is ${log}.`].join(' '),
  })
}
