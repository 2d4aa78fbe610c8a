/** The parts of @huggingface/jinja that are used here, typed: the package's declarations do not resolve under NodeNext. */
import * as library from '@huggingface/jinja'

/** A node of a parsed template. */
export interface TemplateNode {
  readonly type: string
  readonly [key: string]: unknown
}

/** A value while a template runs: a string, number, array or map of values, or a function. */
export interface TemplateValue {
  readonly type: string
  readonly value: unknown
}

/** A scope with its variables. */
export interface TemplateEnvironment {
  set(name: string, value: unknown): TemplateValue
  lookupVariable(name: string): TemplateValue
}

/** Evaluates node by node: every part of a template goes through `evaluate`. */
export interface TemplateInterpreter {
  evaluate(node: TemplateNode | undefined, environment: TemplateEnvironment): TemplateValue
  run(program: TemplateNode): TemplateValue
}

interface Library {
  readonly Environment: new () => TemplateEnvironment
  readonly Interpreter: new (environment: TemplateEnvironment) => TemplateInterpreter
  readonly Template: new (source: string) => { readonly parsed: TemplateNode }
}

export const { Environment, Interpreter, Template } = library as unknown as Library
