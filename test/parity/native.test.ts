/** The committed kernels are what the sources compile to, byte for byte. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { build, platforms } from '../../src/engine/embedded/native/build.ts'
import { missingPython } from './python.ts'

const folder = mkdtempSync(join(tmpdir(), 'native-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(missingPython() !== null)('native modules', () => {
  it.each(platforms)('$name', (platform) => {
    const committed = new URL(
      `../../src/engine/embedded/native/prebuilt/${platform.name}.node`,
      import.meta.url,
    )
    expect(readFileSync(build(platform, folder)).equals(readFileSync(committed))).toBe(true)
  })
})
