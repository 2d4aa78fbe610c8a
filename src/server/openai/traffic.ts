/** Counts what a server does, and knows when nothing is under way. */

/** Totals since the server began. */
export interface Totals {
  readonly requests: number
  readonly tokens: number
}

export class Traffic {
  /** Requests that are being answered. */
  underWay = 0
  private requests = 0
  private tokens = 0
  private idle: (() => void)[] = []

  get totals(): Totals {
    return { requests: this.requests, tokens: this.tokens }
  }

  /** Begins a request; the function that it returns ends it, once. */
  begin(): () => void {
    this.underWay++
    let open = true
    return () => {
      if (!open) return
      open = false
      this.underWay--
      if (this.underWay > 0) return
      for (const wake of this.idle.splice(0)) wake()
    }
  }

  /** A response of so many tokens. */
  count(tokens: number): void {
    this.tokens += tokens
  }

  countRequest(): void {
    this.requests++
  }

  /** Resolves as soon as nothing is under way. */
  async drained(): Promise<void> {
    if (this.underWay === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.idle.push(resolve)
    await promise
  }
}
