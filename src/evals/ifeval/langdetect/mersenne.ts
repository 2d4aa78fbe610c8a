/** Python's `random.Random(0)`: MT19937, `gauss` and `choice`, number for number. */

const N = 624
const M = 397

/** The state that `random.seed(0)` leaves behind. */
function seeded(): Uint32Array {
  const state = new Uint32Array(N)
  state[0] = 19_650_218
  for (let i = 1; i < N; i++) state[i] = Math.imul(1_812_433_253, mixed(state, i)) + i
  // init_by_array with the one-word key [0].
  let i = 1
  for (let k = 0; k < N; k++) {
    state[i] = at(state, i) ^ Math.imul(mixed(state, i), 1_664_525)
    if (++i === N) i = wrap(state)
  }
  for (let k = 1; k < N; k++) {
    state[i] = (at(state, i) ^ Math.imul(mixed(state, i), 1_566_083_941)) - i
    if (++i === N) i = wrap(state)
  }
  state[0] = 0x80000000
  return state
}

const at = (state: Uint32Array, i: number): number => state[i] ?? 0

const mixed = (state: Uint32Array, i: number): number => at(state, i - 1) ^ (at(state, i - 1) >>> 30)

function wrap(state: Uint32Array): number {
  state[0] = at(state, N - 1)
  return 1
}

/** Makes the next N numbers, in place. */
function twist(state: Uint32Array): Uint32Array {
  for (let i = 0; i < N; i++) {
    const y = (at(state, i) & 0x80000000) | (at(state, (i + 1) % N) & 0x7fffffff)
    state[i] = at(state, (i + M) % N) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
  }
  return state
}

/** Made once: every stream begins with the same numbers. */
const first = twist(seeded())

/** A stream of uniform 32-bit integers. */
function mersenneTwister(): () => number {
  const state = first.slice()
  let used = 0
  return () => {
    if (used === N) {
      twist(state)
      used = 0
    }
    let y = at(state, used++)
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
}

export interface PythonRandom {
  /** `gauss(0, 1)`: every second call returns what the one before left over. */
  gauss(): number
  /** The index that `choice` takes from a sequence of `length` from 1 to 2^32 - 1. */
  choice(length: number): number
}

/** `random.Random(0)` of Python 3.11 and later. */
export function pythonRandom(): PythonRandom {
  const u32 = mersenneTwister()
  const random = (): number => ((u32() >>> 5) * 67_108_864 + (u32() >>> 6)) / 9_007_199_254_740_992
  let next: number | undefined
  return {
    gauss: () => {
      if (next !== undefined) {
        const left = next
        next = undefined
        return left
      }
      const angle = random() * 2 * Math.PI
      const radius = Math.sqrt(-2 * Math.log(1 - random()))
      next = Math.sin(angle) * radius
      return Math.cos(angle) * radius
    },
    choice: (length) => {
      const shift = Math.clz32(length)
      let index = u32() >>> shift
      while (index >= length) index = u32() >>> shift
      return index
    },
  }
}
