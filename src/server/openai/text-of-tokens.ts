/** The text of tokens that come one at a time: a character is given once its last byte is there. */

const broken = '\uFFFD'

/**
 * Pieces that joined are `decode` of all tokens. A token's text can depend on the one before it (spaces, bytes of one
 * character), so each is decoded behind those that the last piece ended with.
 */
export class TextOfTokens {
  private readonly decode: (ids: readonly number[]) => string
  /** Tokens of the last piece, and those since. */
  private recent: number[] = []
  private known = 0

  constructor(decode: (ids: readonly number[]) => string) {
    this.decode = decode
  }

  /** What the token completes; often nothing. */
  push(token: number): string {
    this.recent.push(token)
    const text = this.decode(this.recent)
    const before = this.textBefore()
    if (text.endsWith(broken) || text.length <= before.length) return ''
    this.recent = this.recent.slice(this.known)
    this.known = this.recent.length
    return text.slice(before.length)
  }

  /** What is left after the last token, with U+FFFD for characters that were never completed. */
  end(): string {
    return this.decode(this.recent).slice(this.textBefore().length)
  }

  private textBefore(): string {
    return this.known === 0 ? '' : this.decode(this.recent.slice(0, this.known))
  }
}
