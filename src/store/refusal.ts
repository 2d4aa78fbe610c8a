/** What the disk refuses, as an error that the user can read: a full disk, a folder that cannot be written. */
import { sep } from 'node:path'
import { LabError, messageOf } from '../errors.ts'

const mended = 'the same command goes on once this is mended'

const full = new Set<unknown>(['ENOSPC', 'EDQUOT'])
const refused = new Set<unknown>(['EACCES', 'EPERM', 'EROFS', 'EIO', 'ENOTDIR', 'EISDIR', 'EMFILE', 'ENFILE'])
/** SQLite's primary codes: READONLY, IOERR, CANTOPEN. */
const refusedBySqlite = new Set([8, 10, 14])
const sqliteFull = 13

/**
 * STORE for what a disk refused while something was written into `folder`; null for every other error, among them what was
 * refused elsewhere, e.g. a data file that may not be read.
 */
export function refusalOf(error: unknown, folder: string): LabError | null {
  if (!(error instanceof Error)) return null
  const { code, path, errcode } = error as NodeJS.ErrnoException & { readonly errcode?: number }
  // What is written through an open file does not say its path.
  if (path !== undefined && path !== folder && !path.startsWith(folder + sep)) return null
  const sqlite = errcode === undefined ? null : errcode & 0xff
  if (full.has(code) || sqlite === sqliteFull) {
    return new LabError('STORE', `the disk of ${folder} is full (${messageOf(error)})`, {
      hint: `make room, or choose another folder; ${mended}`,
      cause: error,
    })
  }
  if (refused.has(code) || (sqlite !== null && refusedBySqlite.has(sqlite))) {
    return new LabError('STORE', `${folder} cannot be written: ${messageOf(error)}`, {
      hint: mended,
      cause: error,
    })
  }
  return null
}
