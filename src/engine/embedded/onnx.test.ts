/** The encoder is right if ONNX Runtime loads what it writes and computes what the graph says. */
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { Graph } from './onnx.ts'
import { ProtoWriter } from './protobuf.ts'

const run = async (
  graph: Graph,
  feeds: Record<string, ort.Tensor>,
): Promise<ort.InferenceSession.OnnxValueMapType> => {
  const session = await ort.InferenceSession.create(graph.encode(), { intraOpNumThreads: 1 })
  const result = await session.run(feeds)
  await session.release()
  return result
}
const floats = (dims: number[], ...values: number[]): ort.Tensor => new ort.Tensor('float32', values, dims)
const numbers = (tensor: ort.OnnxValue | undefined): number[] =>
  Array.from((tensor as ort.Tensor).data as Float32Array)

describe('ProtoWriter', () => {
  it('writes the examples of the protobuf documentation', () => {
    expect([...new ProtoWriter().int(1, 150).finish()]).toEqual([0x08, 0x96, 0x01])
    expect([...new ProtoWriter().string(2, 'testing').finish()]).toEqual([
      0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
    ])
    expect([...new ProtoWriter().message(3, new ProtoWriter().int(1, 150)).finish()]).toEqual([
      0x1a, 0x03, 0x08, 0x96, 0x01,
    ])
  })

  it('writes negative numbers in ten bytes and large ones exactly', () => {
    expect([...new ProtoWriter().int(1, -2).finish()]).toEqual([8, 0xfe, ...Array(8).fill(0xff), 1])
    expect([...new ProtoWriter().int(1, 2 ** 40).finish()]).toEqual([8, 128, 128, 128, 128, 128, 32])
  })
})

describe('Graph', () => {
  it('runs a graph with every kind of attribute, constants and renamed outputs', async () => {
    const graph = new Graph()
    const x = graph.input('x', 'float32', ['rows', 3])
    const scaled = graph.op('Mul', [x, graph.scalar(2)])
    const leaky = graph.op('LeakyRelu', [scaled], { alpha: { float: 0.5 } })
    const sum = graph.op('ReduceSum', [leaky, graph.int64s(-1)], { keepdims: 0 })
    graph.output(graph.transpose(leaky, 1, 0), 'turned', 'float32', [3, 'rows'])
    graph.output(sum, 'sum', 'float32', ['rows'])
    graph.output(sum, 'sum_again', 'float32', ['rows'])
    graph.output(x, 'echo', 'float32', ['rows', 3])
    const result = await run(graph, { x: floats([2, 3], 1, -1, 2, 3, -4, 0) })
    expect(numbers(result.turned)).toEqual([2, 6, -1, -4, 4, 0])
    expect(numbers(result.sum)).toEqual([5, 2])
    expect(numbers(result.sum_again)).toEqual([5, 2])
    expect(numbers(result.echo)).toEqual([1, -1, 2, 3, -4, 0])
  })

  it('stores equal constants once', () => {
    const graph = new Graph()
    expect(graph.int64s(1, 2)).toBe(graph.int64s(1, 2))
    expect(graph.int64s(1, 2)).not.toBe(graph.int64s(12))
    expect(graph.scalar(0.5)).toBe(graph.scalar(0.5))
    expect(graph.scalar(1)).not.toBe(graph.int64s(1))
  })

  it('multiplies with transposes, transposed batches and a scale', async () => {
    const graph = new Graph()
    const a = graph.input('a', 'float32', [2, 3])
    const b = graph.input('b', 'float32', [2, 3])
    graph.output(graph.matmul(a, b, { transB: true, scale: 10 }), 'outer', 'float32', [2, 2])
    // [T=2, heads=3, 1]: each head's products of its two positions
    const heads = graph.matmul(graph.reshape(a, 2, 3, 1), graph.reshape(b, 2, 3, 1), {
      transBatchA: true,
      transBatchB: true,
      transB: true,
    })
    graph.output(heads, 'heads', 'float32', [3, 2, 2])
    const result = await run(graph, {
      a: floats([2, 3], 1, 2, 3, 4, 5, 6),
      b: floats([2, 3], 1, 0, 2, 0, 1, 1),
    })
    expect(numbers(result.outer)).toEqual([70, 50, 160, 110])
    expect(numbers(result.heads)).toEqual([1, 0, 4, 0, 0, 2, 0, 5, 6, 3, 12, 6])
  })

  it('computes in 64 bits when asked', async () => {
    const graph = new Graph('float64')
    const x = graph.input('x', 'float64', [1])
    graph.output(graph.op('Add', [x, graph.scalar(1e-12)]), 'y', 'float64', [1])
    const result = await run(graph, { x: new ort.Tensor('float64', [1], [1]) })
    expect(numbers(result.y)).toEqual([1 + 1e-12])
  })
})
