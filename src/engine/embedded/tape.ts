/** Reverse-mode differentiation over an ONNX graph: the forward pass records how to go back, `backward` emits it. */
import { LabError } from '../../errors.ts'
import type { Graph, Value } from './onnx.ts'

/** Wengert list: layers push one backward step each; they are emitted in reverse order. */
export class Tape {
  readonly graph: Graph
  private readonly steps: (() => void)[] = []
  private readonly gradients = new Map<Value, Value>()

  constructor(graph: Graph) {
    this.graph = graph
  }

  /** `step` is called once everything that uses the layer's output has added its gradient. */
  onBackward(step: () => void): void {
    this.steps.push(step)
  }

  /** Adds to the gradient of `value`; the order of additions is the order of calls. */
  addGradient(value: Value, gradient: Value): void {
    const before = this.gradients.get(value)
    this.gradients.set(value, before === undefined ? gradient : this.graph.op('Add', [before, gradient]))
  }

  /** Replaces the gradient of `value`, for layers that add to it in place of `addGradient`. */
  setGradient(value: Value, gradient: Value): void {
    this.gradients.set(value, gradient)
  }

  hasGradient(value: Value): boolean {
    return this.gradients.has(value)
  }

  gradientOf(value: Value): Value {
    const gradient = this.gradients.get(value)
    if (gradient === undefined) throw new LabError('INTERNAL', `nothing depends on ${value}`)
    return gradient
  }

  /** Emits the backward pass. Call once, after the loss has set its gradient. */
  backward(): void {
    for (const step of this.steps.toReversed()) step()
  }
}
