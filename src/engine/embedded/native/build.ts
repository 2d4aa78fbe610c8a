/**
 * Compiles the kernels for every platform: `npm run build:native`. Needs the C compiler of the Python package `ziglang` at the
 * version of test/parity/requirements.txt (`npm run bench:setup` installs it into .venv); the same sources give the same bytes on every machine.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Platform {
  /** `process.platform`-`process.arch` */
  readonly name: string
  readonly target: string
  /** Name of a kernel table and the processor it is compiled for. */
  readonly tables: Readonly<Record<string, string>>
  readonly linkFlags: readonly string[]
}

const x64 = { kernels_avx2: 'x86_64_v3', kernels_avx512: 'x86_64_v4-prefer_256_bit' }

/** The name in the module is not the path that it is built at, so that every checkout gives the same bytes. */
const darwin = ['-undefined', 'dynamic_lookup', '-s', '-Wl,-install_name,@rpath/kernels.node']

export const platforms: readonly Platform[] = [
  { name: 'linux-x64', target: 'x86_64-linux-gnu.2.28', tables: x64, linkFlags: ['-s'] },
  {
    name: 'linux-arm64',
    target: 'aarch64-linux-gnu.2.28',
    tables: { kernels_neon: 'generic' },
    linkFlags: ['-s'],
  },
  {
    name: 'darwin-arm64',
    target: 'aarch64-macos.11.0',
    tables: { kernels_neon: 'apple_m1' },
    linkFlags: darwin,
  },
  {
    name: 'darwin-x64',
    target: 'x86_64-macos.11.0',
    tables: x64,
    linkFlags: darwin,
  },
]

const source = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../../../', import.meta.url))
/** No contraction and no reassociation: the sums are in the order that the sources say, on every processor. */
const compileFlags = [
  '-O3',
  '-std=gnu17',
  '-fPIC',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fvisibility=hidden',
  '-fno-sanitize=all',
  '-Wall',
  '-Wextra',
  '-Werror',
  `-I${join(root, 'node_modules/node-api-headers/include')}`,
]

/** Compiles one platform's module into `folder` and returns its path. */
export function build(platform: Platform, folder: string): string {
  const objects = mkdtempSync(join(tmpdir(), 'kernels-'))
  const zig = (...args: readonly string[]): void => {
    execFileSync(
      join(root, '.venv/bin/python'),
      ['-m', 'ziglang', 'cc', '-target', platform.target, ...args],
      {
        cwd: source,
        stdio: 'inherit',
      },
    )
  }
  try {
    const parts = Object.entries(platform.tables).map(([table, processor]) => {
      const object = join(objects, `${table}.o`)
      zig(`-mcpu=${processor}`, ...compileFlags, `-DTABLE=${table}`, '-c', 'kernels.c', '-o', object)
      return object
    })
    for (const name of ['pool', 'binding']) {
      zig(...compileFlags, '-c', `${name}.c`, '-o', join(objects, `${name}.o`))
      parts.push(join(objects, `${name}.o`))
    }
    const linked = join(objects, 'kernels.node')
    zig('-shared', ...parts, '-o', linked, '-lpthread', ...platform.linkFlags)
    mkdirSync(folder, { recursive: true })
    const module = join(folder, `${platform.name}.node`)
    // Renamed into place: a process that has the old file open keeps it.
    copyFileSync(linked, `${module}.new`)
    renameSync(`${module}.new`, module)
    return module
  } finally {
    rmSync(objects, { recursive: true })
  }
}

if (import.meta.main) {
  const wanted = process.argv.slice(2)
  for (const platform of platforms) {
    if (wanted.length === 0 || wanted.includes(platform.name))
      console.log(build(platform, join(source, 'prebuilt')))
  }
}
