/** The text of tokens that come one at a time: a character is given once its last byte is there. */

const broken = '\uFFFD'

/** Tokens without a whole character that are kept together; longer runs of broken bytes are cut, to bound the work. */
const longestPending = 32
/** A character has at most so many bytes, and so many tokens. */
const longestCharacter = 4

/**
 * Pieces that joined are `decode` of all tokens. A token's text can depend on the one before it (spaces, bytes of one
 * character), so each is decoded behind those that the last piece ended with.
 */
export class TextOfTokens {
  private readonly decode: (ids: readonly number[]) => string
  /** Those of the last piece, which are `known`, and those since. */
  private recent: number[] = []
  private known = 0
  private textBefore = ''
  /** Of all recent tokens. */
  private text = ''

  constructor(decode: (ids: readonly number[]) => string) {
    this.decode = decode
  }

  /** What the token completes; often nothing. */
  push(token: number): string {
    this.recent.push(token)
    const text = this.decode(this.recent)
    // Special and unknown tokens have no text, alone or beside others; a second byte only seems to have none.
    if (text === this.text && this.decode([token, token]) === '') {
      this.recent.pop()
      return ''
    }
    this.text = text
    if (text.length > this.textBefore.length && !text.endsWith(broken))
      return this.give(text, this.recent.length)
    return this.recent.length - this.known > longestPending ? this.giveBroken(text) : ''
  }

  /** What is left after the last token, with U+FFFD for characters that were never completed. */
  end(): string {
    return this.text.slice(this.textBefore.length)
  }

  /** Gives the text of the first `count` recent tokens. */
  private give(text: string, count: number): string {
    const piece = text.slice(this.textBefore.length)
    this.recent = this.recent.slice(this.known)
    this.known = count - this.known
    this.textBefore = this.decode(this.recent.slice(0, this.known))
    this.text = this.known === this.recent.length ? this.textBefore : this.decode(this.recent)
    return piece
  }

  /** Cuts where no character is: the tokens behind the cut decode alone to what they give behind the others. */
  private giveBroken(text: string): string {
    const { length } = this.recent
    for (let count = length - longestCharacter; count > length - 2 * longestCharacter; count--) {
      const first = this.decode(this.recent.slice(0, count))
      if (first + this.decode(this.recent.slice(count)) === text) return this.give(first, count)
    }
    return ''
  }
}
