/** WASM SIMD kernels of the optimizer. Arguments named *At are byte offsets into the imported memory, counts are float32 elements. */

/** sum[i] += term[i] */
export function addTo(sumAt: usize, termAt: usize, count: i32): void {
  const vectorised = count & ~3
  for (let i = 0; i < vectorised; i += 4) {
    const at = (<usize>i) << 2
    v128.store(sumAt + at, f32x4.add(v128.load(sumAt + at), v128.load(termAt + at)))
  }
  for (let i = vectorised; i < count; i++) {
    const at = (<usize>i) << 2
    store<f32>(sumAt + at, load<f32>(sumAt + at) + load<f32>(termAt + at))
  }
}

/** Sum of squares in float64: four partial sums, then their sum in fixed order. */
export function sumOfSquares(at: usize, count: i32): f64 {
  let low = f64x2.splat(0)
  let high = f64x2.splat(0)
  const vectorised = count & ~3
  for (let i = 0; i < vectorised; i += 4) {
    const x = v128.load(at + ((<usize>i) << 2))
    const a = f64x2.promote_low_f32x4(x)
    const b = f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 0, 1))
    low = f64x2.add(low, f64x2.mul(a, a))
    high = f64x2.add(high, f64x2.mul(b, b))
  }
  const both = f64x2.add(low, high)
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1)
  for (let i = vectorised; i < count; i++) {
    const x = <f64>load<f32>(at + ((<usize>i) << 2))
    sum += x * x
  }
  return sum
}

/**
 * AdamW (Loshchilov & Hutter 2019, Alg. 2) over one run of parameters that share their weight decay:
 * g = gradScale · gradient; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²;
 * w = keep · w - stepSize · m / (sqrt(v · correction2) + eps)
 * with keep = 1 - lr · decay, stepSize = lr / (1 - beta1^t), correction2 = 1 / (1 - beta2^t).
 */
export function adamw(
  weightsAt: usize,
  gradientAt: usize,
  mAt: usize,
  vAt: usize,
  count: i32,
  gradScale: f32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  eps: f32,
  keep: f32,
  stepSize: f32,
  correction2: f32,
): void {
  const scales = f32x4.splat(gradScale)
  const beta1s = f32x4.splat(beta1)
  const rest1s = f32x4.splat(rest1)
  const beta2s = f32x4.splat(beta2)
  const rest2s = f32x4.splat(rest2)
  const epss = f32x4.splat(eps)
  const keeps = f32x4.splat(keep)
  const steps = f32x4.splat(stepSize)
  const corrections = f32x4.splat(correction2)
  const vectorised = count & ~3
  for (let i = 0; i < vectorised; i += 4) {
    const at = (<usize>i) << 2
    const g = f32x4.mul(v128.load(gradientAt + at), scales)
    const m = f32x4.add(f32x4.mul(beta1s, v128.load(mAt + at)), f32x4.mul(rest1s, g))
    const v = f32x4.add(f32x4.mul(beta2s, v128.load(vAt + at)), f32x4.mul(rest2s, f32x4.mul(g, g)))
    v128.store(mAt + at, m)
    v128.store(vAt + at, v)
    const update = f32x4.div(f32x4.mul(steps, m), f32x4.add(f32x4.sqrt(f32x4.mul(v, corrections)), epss))
    v128.store(weightsAt + at, f32x4.sub(f32x4.mul(keeps, v128.load(weightsAt + at)), update))
  }
  for (let i = vectorised; i < count; i++) {
    const at = (<usize>i) << 2
    const g = load<f32>(gradientAt + at) * gradScale
    const m = beta1 * load<f32>(mAt + at) + rest1 * g
    const v = beta2 * load<f32>(vAt + at) + rest2 * (g * g)
    store<f32>(mAt + at, m)
    store<f32>(vAt + at, v)
    const update = (stepSize * m) / (sqrt<f32>(v * correction2) + eps)
    store<f32>(weightsAt + at, keep * load<f32>(weightsAt + at) - update)
  }
}
