/** Conversions from the two 16-bit floating-point formats of model files to f32. */

function float16Value(h: number): number {
  const sign = h & 0x8000 ? -1 : 1
  const exponent = (h >> 10) & 0x1f
  const fraction = h & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** The value of every pattern of 16 bits; a look-up is ten times as fast as the arithmetic. */
const float16Values = Float32Array.from({ length: 2 ** 16 }, (_, bits) => float16Value(bits))

/** IEEE 754 binary16 bits to f32, exactly (subnormals, infinities and NaN included). `into` has the length of `bits`. */
export function float16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  for (let i = 0; i < bits.length; i++) into[i] = float16Values[bits[i] as number] as number
}

/** bfloat16 bits (the upper half of an f32) to f32, exactly. `into` has the length of `bits`. */
export function bfloat16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.length)
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16
}
