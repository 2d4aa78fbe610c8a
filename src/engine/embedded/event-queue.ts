/** A queue between a producer that never waits and one consumer that iterates. */

export class EventQueue<T> {
  private readonly waiting: T[] = []
  private ended = false
  private failure: { readonly error: unknown } | undefined
  private wake: (() => void) | undefined

  push(item: T): void {
    this.waiting.push(item)
    this.wake?.()
  }

  /** No more items; those that wait are still delivered. */
  end(): void {
    this.ended = true
    this.wake?.()
  }

  /** The consumer sees the error at once; items that wait are dropped. */
  fail(error: unknown): void {
    this.failure ??= { error }
    this.wake?.()
  }

  /** Every item in order; ends with `end`, throws with `fail`. */
  async *items(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (this.failure) throw this.failure.error
      const item = this.waiting.shift()
      if (item !== undefined) {
        yield item
      } else if (this.ended) {
        return
      } else {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.wake = resolve
        await promise
        this.wake = undefined
      }
    }
  }
}
