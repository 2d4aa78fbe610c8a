/** Conversions from the two 16-bit floating-point formats of model files to f32. */

/** IEEE 754 binary16 bits to f32, exactly (subnormals, infinities and NaN included). `into` has the length of `bits`. */
export function float16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  for (let i = 0; i < bits.length; i++) {
    const h = bits[i] as number
    const sign = h & 0x8000 ? -1 : 1
    const exponent = (h >> 10) & 0x1f
    const fraction = h & 0x3ff
    if (exponent === 0) into[i] = sign * fraction * 2 ** -24
    else if (exponent === 31) into[i] = fraction === 0 ? sign * Infinity : NaN
    else into[i] = sign * (1024 + fraction) * 2 ** (exponent - 25)
  }
}

/** bfloat16 bits (the upper half of an f32) to f32, exactly. `into` has the length of `bits`. */
export function bfloat16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.length)
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16
}
