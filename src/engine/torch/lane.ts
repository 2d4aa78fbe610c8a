/** One user of the device at a time: a training, or one model that is sampled, which stays until something else is asked for. */
import { interrupted } from '../../errors.ts'

/** What the lane holds, made for a key. */
interface Occupant {
  readonly key: string
  readonly value: unknown
  users: number
  readonly end: () => Promise<void>
  readonly usable: () => boolean
}

/** Something in the lane; `leave` is to be called once. */
export interface Entered<T> {
  readonly value: T
  readonly leave: () => Promise<void>
}

export interface Opening<T> {
  /** Equal keys share one value; a key belongs to one type of value. */
  readonly key: string
  readonly open: () => Promise<T>
  readonly end: (value: T) => Promise<void>
  /** Whether an idle value can still be used. */
  readonly usable?: (value: T) => boolean
}

/** Who comes first goes first. */
export class Lane {
  private occupant: Occupant | null = null
  /** Between the turn that somebody was given and the end of opening. */
  private opening = false
  private closed = false
  private readonly queue: { readonly key: string; readonly admit: () => void }[] = []

  /** Waits until the lane is free or holds the same key. The value stays, idle, until another key is asked for or the lane closes. */
  async enter<T>({ key, open, end, usable = () => true }: Opening<T>): Promise<Entered<T>> {
    await this.turn(key)
    try {
      if (this.closed) throw interrupted()
      if (this.occupant?.key !== key || !this.occupant.usable()) {
        await this.clear()
        const value = await open()
        this.occupant = { key, value, users: 0, end: () => end(value), usable: () => usable(value) }
      }
      const { occupant } = this
      occupant.users++
      return { value: occupant.value as T, leave: () => this.leave(occupant) }
    } finally {
      this.opening = false
      this.admitNext()
    }
  }

  /** Ends what is idle at once and what is used when its last user leaves; who waits is turned away. */
  async close(): Promise<void> {
    this.closed = true
    if (this.occupant?.users === 0) await this.clear()
    this.admitNext()
  }

  private async turn(key: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.queue.push({ key, admit: resolve })
    this.admitNext()
    await promise
  }

  private admitNext(): void {
    const [first] = this.queue
    if (first === undefined || this.opening) return
    const { occupant } = this
    const shared = occupant?.key === first.key && occupant.usable()
    if (!this.closed && occupant !== null && occupant.users > 0 && !shared) return
    this.opening = true
    this.queue.shift()
    first.admit()
  }

  private async leave(occupant: Occupant): Promise<void> {
    occupant.users--
    if (this.closed && occupant.users === 0 && this.occupant === occupant) await this.clear()
    this.admitNext()
  }

  private async clear(): Promise<void> {
    const { occupant } = this
    this.occupant = null
    await occupant?.end()
  }
}
