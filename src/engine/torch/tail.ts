/** Follows a file that another process appends lines to: each look reads what is new, and a cut last line waits for its end. */
import { open, type FileHandle } from 'node:fs/promises'
import { LabError } from '../../errors.ts'

/** Bytes read at a time, whatever the length of the file. */
const PIECE = 1 << 20
/** A line that never ends is no log. */
const LONGEST_LINE = 16 << 20

export class LineTail {
  private readonly file: string
  private offset: number
  private handle: FileHandle | null = null
  /** Bytes of a line whose end is not there yet. */
  private rest: Buffer[] = []
  private restBytes = 0

  /** Reads from byte `offset`, which begins a line. */
  constructor(file: string, offset = 0) {
    this.file = file
    this.offset = offset
  }

  /** The lines that were completed since the last look, without their ends; none while the file is not there. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    this.handle ??= await open(this.file, 'r').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    })
    if (this.handle === null) return
    const piece = Buffer.allocUnsafe(PIECE)
    for (;;) {
      const { bytesRead } = await this.handle.read(piece, 0, PIECE, this.offset)
      if (bytesRead === 0) return
      this.offset += bytesRead
      let from = 0
      for (;;) {
        const end = piece.subarray(0, bytesRead).indexOf(0x0a, from)
        if (end < 0) break
        const line = Buffer.concat([...this.rest, piece.subarray(from, end)]).toString('utf8')
        this.rest = []
        this.restBytes = 0
        from = end + 1
        yield line
      }
      this.keep(piece.subarray(from, bytesRead))
    }
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = null
  }

  private keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.restBytes += bytes.length
    if (this.restBytes > LONGEST_LINE)
      throw new LabError('ENGINE', `${this.file}: a line has more than ${LONGEST_LINE} bytes`)
    this.rest.push(Buffer.from(bytes))
  }
}
