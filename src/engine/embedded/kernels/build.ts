/** Compiles assembly/kernels.ts to kernels.wasm: `node src/engine/embedded/kernels/build.ts` after every change of the source. */
import { readFileSync, writeFileSync } from 'node:fs'
import asc from 'assemblyscript/asc'
import { LabError, messageOf } from '../../../errors.ts'

const FLAGS = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--use',
  'abort=',
  '--enable',
  'simd,threads,bulk-memory',
  '--importMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
]

/** The bytes of a fresh build. */
export async function compileKernels(): Promise<Uint8Array> {
  const source = readFileSync(new URL('assembly/kernels.ts', import.meta.url), 'utf8')
  let binary: Uint8Array | undefined
  const { error } = await asc.main(['kernels.ts', '--outFile', 'kernels.wasm', ...FLAGS], {
    readFile: (name) => (name === 'kernels.ts' ? source : null),
    writeFile: (_name, contents) => {
      if (typeof contents !== 'string') binary = contents
    },
    listFiles: () => [],
  })
  if (error || binary === undefined)
    throw new LabError('INTERNAL', `the kernels do not compile: ${messageOf(error)}`)
  return binary
}

if (import.meta.main) writeFileSync(new URL('kernels.wasm', import.meta.url), await compileKernels())
