/** Ends a text at the first of its stop texts, and holds back what could become one. */

export class StopTexts {
  private readonly stops: readonly string[]
  private text = ''
  private released = 0

  constructor(stops: readonly string[]) {
    this.stops = stops
  }

  /** The length of the text that is certain so far, and whether a stop text has ended it there. Texts come in pieces. */
  push(piece: string): { readonly length: number; readonly stopped: boolean } {
    const longest = this.stops.reduce((most, { length }) => Math.max(most, length), 0)
    const from = Math.max(0, this.text.length - longest + 1)
    this.text += piece
    const places = this.stops.map((stop) => this.text.indexOf(stop, from)).filter((at) => at >= 0)
    if (places.length > 0) return { length: Math.min(...places), stopped: true }
    return { length: this.text.length - this.held(), stopped: false }
  }

  /** What has become certain up to `length` since the last call. */
  release(length: number): string {
    const text = this.text.slice(this.released, length)
    this.released = Math.max(this.released, length)
    return text
  }

  /** Of the whole text, without regard to what is held back. */
  get length(): number {
    return this.text.length
  }

  /** Length of the longest end of the text that begins a stop text. */
  private held(): number {
    return this.stops.reduce((most, stop) => {
      for (let length = Math.min(stop.length - 1, this.text.length); length > most; length--)
        if (this.text.endsWith(stop.slice(0, length))) return length
      return most
    }, 0)
  }
}
