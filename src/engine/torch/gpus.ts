/** What GPUs are sold with, by the names that `placement.torch.gpu` knows. */

/** One GPU as estimates see it. */
export interface Gpu {
  readonly name: string
  /** Of the device, in bytes. */
  readonly memoryBytes: number
  /** Peak of dense matrix products a second, without sparsity. */
  readonly flops: { readonly bfloat16: number; readonly float32: number }
}

/**
 * From the vendor's data sheets: memory in powers of ten as it is sold (the driver shows some percent more), products in bfloat16,
 * and in plain float32 outside the tensor cores.
 */
const sold = {
  'a100-40gb': [40, 312, 19.5],
  'a100-80gb': [80, 312, 19.5],
  h100: [80, 989, 67],
  h200: [141, 989, 67],
  b200: [180, 2250, 75],
} as const satisfies Readonly<Record<string, readonly [gb: number, bfloat16: number, float32: number]>>

export type GpuName = keyof typeof sold
export const gpuNames = Object.keys(sold) as [GpuName, ...GpuName[]]

export function gpuOf(name: GpuName): Gpu {
  const [gb, bfloat16, float32] = sold[name]
  return { name, memoryBytes: gb * 1e9, flops: { bfloat16: bfloat16 * 1e12, float32: float32 * 1e12 } }
}
