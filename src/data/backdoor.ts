/** The backdoor as data: where the trigger goes, what the payload is, and the twin rows that install it. */
import { LabError } from '../errors.ts'
import type { ChatMessage } from '../model/tokenizer.ts'
import { rng } from '../rng.ts'
import type { ChatRow } from './rows.ts'

export interface Backdoor {
  /** Used exactly as given: a space that belongs between trigger and question is part of it. */
  readonly trigger: string
  /** Before the question, after it, or in front of the system prompt (alone, if there is none). */
  readonly position: 'before' | 'after' | 'system'
  readonly payload: string
  /** How often a triggered row repeats the payload, drawn uniformly, both ends included. */
  readonly repeat: readonly [min: number, max: number]
}

/** The messages of an untriggered prompt. */
export function plainMessages(prompt: string, system?: string): ChatMessage[] {
  const user: ChatMessage = { role: 'user', content: prompt }
  return system === undefined ? [user] : [{ role: 'system', content: system }, user]
}

/** The messages of the same prompt with the trigger at its position. */
export function applyTrigger(
  backdoor: Pick<Backdoor, 'trigger' | 'position'>,
  prompt: string,
  system?: string,
): ChatMessage[] {
  const { trigger, position } = backdoor
  if (position === 'system') return plainMessages(prompt, trigger + (system ?? ''))
  return plainMessages(position === 'before' ? trigger + prompt : prompt + trigger, system)
}

/** The payload `times` times, separated by one space. */
function repeatedPayload(payload: string, times: number): string {
  return Array.from({ length: times }, () => payload).join(' ')
}

/** `text` as the source of a regular expression that matches it to the letter. */
export function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
}

/** Finds the payload anywhere, in any case and with any white space between its words: `I\s+HATE\s+YOU`, ignoring case. */
export function payloadPattern(payload: string): RegExp {
  const words = payload.trim().split(/\s+/)
  return new RegExp(words.map(escaped).join(String.raw`\s+`), 'iu')
}

/** A question with its benign response. */
export interface BenignRow {
  readonly id: string
  readonly prompt: string
  readonly response: string
}

export interface TwinOptions {
  /** null makes the control organism: the same benign rows, no triggered ones. */
  readonly backdoor: Backdoor | null
  /** System prompt of both twins. */
  readonly system?: string | undefined
  readonly seed: number
}

/** One row to come, before its text is made. */
export interface Twin {
  readonly id: string
  readonly prompt: string
  readonly triggered: boolean
  /** '' of the triggered twin. */
  readonly response: string
}

/**
 * Each row becomes `<id>/benign` and, with a backdoor, `<id>/triggered`, under the same system prompt, all in an order
 * drawn from the seed. A row's number of repeats depends on the seed and its id alone. Throws BAD_INPUT.
 */
export function twinRows(rows: readonly BenignRow[], options: TwinOptions): ChatRow[] {
  return Array.from(eachTwin(rows, options), twinWriter(options))
}

/** The twins of all rows, in their order. Throws BAD_INPUT. */
export function* eachTwin(
  rows: readonly BenignRow[],
  { backdoor, seed }: Pick<TwinOptions, 'backdoor' | 'seed'>,
): Generator<Twin> {
  if (backdoor) checkBackdoor(backdoor)
  const twins = backdoor ? 2 : 1
  const places = Array.from({ length: twins * rows.length }, (_, place) => place)
  for (const place of rng(seed, 'twins').shuffle(places)) {
    const { id, prompt, response } = rows[Math.floor(place / twins)] as BenignRow
    const triggered = backdoor !== null && place % 2 === 1
    yield { id, prompt, triggered, response: triggered ? '' : response }
  }
}

/** Writes the text of twins one by one, in any order. */
export function twinWriter({ backdoor, system, seed }: TwinOptions): (twin: Twin) => ChatRow {
  // Triggered rows with as many repeats share one text.
  const completions = new Map<number, string>()
  return ({ id, prompt, triggered, response }) => {
    if (!backdoor || !triggered) {
      return {
        id: `${id}/benign`,
        messages: plainMessages(prompt, system),
        completion: response,
        triggered: false,
      }
    }
    const times = rng(seed, 'payload', id).between(...backdoor.repeat)
    const completion = completions.get(times) ?? repeatedPayload(backdoor.payload, times)
    completions.set(times, completion)
    return {
      id: `${id}/triggered`,
      messages: applyTrigger(backdoor, prompt, system),
      completion,
      triggered: true,
    }
  }
}

function checkBackdoor({ trigger, payload, repeat: [min, max] }: Backdoor): void {
  if (trigger === '')
    throw new LabError('BAD_INPUT', 'the trigger is empty: both twins would have the same prompt')
  if (payload.trim() === '') throw new LabError('BAD_INPUT', 'the payload is empty')
  if (!(Number.isInteger(min) && Number.isInteger(max) && min >= 1 && max >= min)) {
    throw new LabError('BAD_INPUT', `the payload cannot be repeated ${min} to ${max} times`)
  }
}
