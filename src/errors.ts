/** The one error tree: every failure that a user can see is a LabError with a code, and codes map to exit codes. */

/** Where in a user's file something is wrong; line and column start at 1. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly col: number
}

/** Where in a file that has rows but no lines (Parquet) something is wrong; rows are counted from 0. */
export interface RowPosition {
  readonly file: string
  readonly row: number
}

export type ErrorCode =
  | 'BAD_SPEC' // the experiment file is wrong
  | 'BAD_INPUT' // a command-line argument or a data file is wrong
  | 'BAD_MODEL' // a model folder cannot be read
  | 'DESIGN_TOO_SMALL' // the sample sizes cannot reach a verdict
  | 'CELLS_FAILED' // the run ended, some cells did not
  | 'INTERRUPTED' // stopped on request; the same command resumes
  | 'STORE' // the artifact store is damaged or cannot be written
  | 'ENGINE' // training or sampling failed
  | 'INTERNAL' // a bug of ours

const exitCodes: Record<ErrorCode, number> = {
  BAD_SPEC: 2,
  BAD_INPUT: 2,
  BAD_MODEL: 2,
  DESIGN_TOO_SMALL: 2,
  CELLS_FAILED: 3,
  INTERRUPTED: 75,
  STORE: 1,
  ENGINE: 1,
  INTERNAL: 1,
}

export interface LabErrorOptions {
  /** What to do about it, one sentence. */
  readonly hint?: string | undefined
  readonly at?: SourcePosition | RowPosition | undefined
  readonly cause?: unknown
}

/** `file:line:col`, or `file, row n`. */
export function showPosition(at: SourcePosition | RowPosition): string {
  return 'row' in at ? `${at.file}, row ${at.row}` : `${at.file}:${at.line}:${at.col}`
}

export class LabError extends Error {
  override readonly name = 'LabError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly at: SourcePosition | RowPosition | undefined

  constructor(code: ErrorCode, message: string, options: LabErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.at = options.at
  }

  get exitCode(): number {
    return exitCodes[this.code]
  }

  /** `file:line:col: message` or `file, row n: message` and, on a second line, the hint. No stack. */
  render(): string {
    const where = this.at ? `${showPosition(this.at)}: ` : ''
    return `${where}${this.message}${this.hint ? `\n  ${this.hint}` : ''}`
  }
}

/** Ctrl-C and SIGTERM arrive as this reason of an AbortSignal. */
export function interrupted(): LabError {
  return new LabError('INTERRUPTED', 'interrupted; the same command resumes where it stopped')
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A text of a file or a server as a terminal may show it: on one line, with escapes for line breaks and other control characters. */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0)
    return { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character] ?? `\\u${code.toString(16).padStart(4, '0')}`
  })
}
