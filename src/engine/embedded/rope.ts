/** Rotary position tables (Su et al. 2021), in the half-split layout that Hugging Face's Llama uses. */

export interface RopeTables {
  /** [positions, headDim / 2] */
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/** Angle of position p and pair i: p · theta^(-2i / headDim), radians. */
export function ropeTables(positions: number, headDim: number, theta: number): RopeTables {
  const half = headDim / 2
  const cos = new Float64Array(positions * half)
  const sin = new Float64Array(positions * half)
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * theta ** ((-2 * i) / headDim)
      cos[p * half + i] = Math.cos(angle)
      sin[p * half + i] = Math.sin(angle)
    }
  }
  return { cos, sin }
}
