/** The end of a log, for the message of what died: a few lines from a few kilobytes, however long the log is. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** Read from the end of the file, whatever its size. */
const tailBytes = 16_384
/** A longer line is cut: a message is to be read. */
const lineCharacters = 300

/** Lines that are not empty, without control characters; a progress bar's are those it drew last. None where nothing can be read. */
export function lastLines(file: string, count = 12): string[] {
  const lines = tailOf(file)
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, ' ').trimEnd())
  return lines
    .filter((line) => line !== '')
    .slice(-count)
    .map((line) => (line.length > lineCharacters ? `${line.slice(0, lineCharacters)}...` : line))
}

function tailOf(file: string): string {
  let fd: number | null = null
  try {
    fd = openSync(file, 'r')
    const { size } = fstatSync(fd)
    const bytes = Buffer.alloc(Math.min(size, tailBytes))
    const read = readSync(fd, bytes, 0, bytes.length, size - bytes.length)
    return bytes.toString('utf8', 0, read)
  } catch {
    return ''
  } finally {
    if (fd !== null) closeSync(fd)
  }
}
