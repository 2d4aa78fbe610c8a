/** The few protobuf wire types that an ONNX model needs, written into one growing buffer. */

const encoder = new TextEncoder()

/** Appends protobuf fields; `finish` gives the message. Source: protobuf.dev, "Encoding". */
export class ProtoWriter {
  private buffer = new Uint8Array(256)
  private length = 0

  /** Wire type 0. Negative numbers take ten bytes, as int64 does. */
  int(field: number, value: number): this {
    this.varint(field * 8)
    return value < 0 ? this.bigVarint(BigInt.asUintN(64, BigInt(value))) : this.varint(value)
  }

  /** Wire type 5. */
  float(field: number, value: number): this {
    this.varint(field * 8 + 5)
    return this.append(new Uint8Array(Float32Array.of(value).buffer))
  }

  /** Wire type 2. */
  bytes(field: number, value: Uint8Array): this {
    this.varint(field * 8 + 2)
    this.varint(value.length)
    return this.append(value)
  }

  string(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value))
  }

  message(field: number, value: ProtoWriter): this {
    return this.bytes(field, value.finish())
  }

  /** A view of what was written; valid until the next write. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  private varint(value: number): this {
    let rest = value
    this.reserve(10)
    while (rest >= 128) {
      this.buffer[this.length++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.buffer[this.length++] = rest
    return this
  }

  private bigVarint(value: bigint): this {
    let rest = value
    this.reserve(10)
    while (rest >= 128n) {
      this.buffer[this.length++] = Number(rest & 127n) + 128
      rest >>= 7n
    }
    this.buffer[this.length++] = Number(rest)
    return this
  }

  private append(bytes: Uint8Array): this {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
    return this
  }

  private reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return
    const grown = new Uint8Array(Math.max(this.buffer.length * 2, this.length + more))
    grown.set(this.finish())
    this.buffer = grown
  }
}
