/** Append-only JSONL: one record a line, safe to read while it grows; a line torn by a crash is skipped, never fatal. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  fstatSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

export interface EventLog<T> {
  append(record: T): void
  close(): void
}

/** Opens for appending. A last line that a crash or a full disk has torn is closed with a newline first. */
export function openEventLog<T>(path: string): EventLog<T> {
  mkdirSync(dirname(path), { recursive: true })
  let torn = existsSync(path) && !endsWithNewline(path)
  const fd = openSync(path, 'a')
  return {
    append: (record) => {
      const line = `${torn ? '\n' : ''}${JSON.stringify(record)}\n`
      torn = true // a full disk takes a part of it
      writeFileSync(fd, line)
      torn = false
    },
    close: () => closeSync(fd),
  }
}

/** Every whole record, oldest first; an absent file has none. */
export function readEvents<T>(path: string): T[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      if (line === '') return []
      try {
        return [JSON.parse(line) as T]
      } catch {
        return []
      }
    })
}

function endsWithNewline(path: string): boolean {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size === 0) return true
    const last = Buffer.alloc(1)
    readSync(fd, last, 0, 1, size - 1)
    return last[0] === 10
  } finally {
    closeSync(fd)
  }
}
