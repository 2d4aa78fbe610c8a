/** A limit of tokens or of money that is never passed: what is in flight counts at its most until the server has said what it used. */
import type { Tokens } from './completion.ts'
import type { Attempted, Meter } from './meter.ts'

export type Budget =
  | { readonly tokens: number }
  | {
      readonly usd: number
      /** Price of a million tokens of prompts. */
      readonly usdPerMtokIn: number
      /** Price of a million tokens of responses. */
      readonly usdPerMtokOut: number
    }

/** In the unit of the budget: tokens or dollars. */
export function costOf({ prompt, completion }: Tokens, budget: Budget): number {
  if ('tokens' in budget) return prompt + completion
  return (prompt * budget.usdPerMtokIn + completion * budget.usdPerMtokOut) / 1e6
}

export const limitOf = (budget: Budget): number => ('tokens' in budget ? budget.tokens : budget.usd)

/** What the meter writes down, so that nothing is forgotten when the process dies. */
export interface Book {
  /** Before an attempt is sent. */
  sent(attempted: Attempted): void
  /** When it is known what it used. */
  settled(id: string, spent: Tokens): void
}

export interface BudgetMeter extends Meter {
  /** Of all attempts that have ended. */
  readonly spent: Tokens
}

/** `spent` is what earlier processes used; no budget: everything is counted and nothing refused. */
export function createMeter(budget: Budget | null, spent: Tokens, book: Book): BudgetMeter {
  let used = spent
  let inFlight: Tokens = { prompt: 0, completion: 0 }
  let refused = false
  const waiting: (() => void)[] = []

  const fits = (most: Tokens): boolean =>
    budget === null || costOf(sum(sum(used, inFlight), most), budget) <= limitOf(budget)
  const wake = (): void => {
    for (const resolve of waiting.splice(0)) resolve()
  }
  return {
    get spent() {
      return used
    },
    reserve: async (attempted) => {
      const { most } = attempted
      while (!refused && !fits(most)) {
        // What is in flight may use less than its most; without any in flight nothing can change.
        if (inFlight.prompt === 0) refused = true
        else await new Promise<void>((resolve) => waiting.push(resolve))
      }
      // Once refused, nothing else is sent: which prompts are answered shall not depend on how short they are.
      if (refused) {
        wake()
        return false
      }
      book.sent(attempted)
      inFlight = sum(inFlight, most)
      return true
    },
    settle: ({ id, most }, tokens) => {
      inFlight = { prompt: inFlight.prompt - most.prompt, completion: inFlight.completion - most.completion }
      used = sum(used, tokens)
      book.settled(id, tokens)
      wake()
    },
  }
}

export function sum(a: Tokens, b: Tokens): Tokens {
  return { prompt: a.prompt + b.prompt, completion: a.completion + b.completion }
}
