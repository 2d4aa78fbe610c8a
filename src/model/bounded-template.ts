/**
 * Runs chat templates that came with a model: text of strangers. Every value and step is charged to a budget, so that
 * endless loops and exploding texts end in an error instead of a hang. No clock is asked: the same input gives the same answer.
 */
import {
  Interpreter,
  Template,
  type TemplateEnvironment,
  type TemplateNode,
  type TemplateValue,
} from './jinja.ts'

/** Thrown where a template asks for more than any conversation needs. */
export class TemplateLimit extends Error {}

/** Longer templates do not exist (the longest known has 30,000 characters). */
const longestTemplate = 1 << 18
/** The library's lexer takes time quadratic in a run of white space. */
const longestSpace = 1000
/** Units a step, an element and an entry cost; a character costs one. About 20 ns a unit. */
const unitsPerStep = 64
/** A name that nobody has defined is looked up with an exception. */
const unitsPerUnknown = 512
/** Evaluations inside each other. A macro that calls itself takes about six a call. */
const deepest = 400
/** Longest argument (characters, or the number itself) of a filter whose result is as long as its operand times the argument. */
const longestArgument = 64

/** Filters and methods whose result can be many times as large as what they are given. */
const amplifiers: ReadonlySet<string> = new Set(['replace', 'join', 'tojson', 'indent', 'split'])

/** A parsed template and the nodes whose values are limited in particular. */
export interface CompiledTemplate {
  readonly program: TemplateNode
  /** Arguments of amplifiers. */
  readonly amounts: ReadonlySet<unknown>
  /** What amplifiers and slices are applied to. */
  readonly operands: ReadonlySet<unknown>
  /** Methods that are called where they are named. */
  readonly callees: ReadonlySet<unknown>
}

function isNode(value: unknown): value is TemplateNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

/** The method that a member expression names, or null where it is computed at run time. */
function memberName(member: TemplateNode): string | null {
  const { property, computed } = member
  if (!isNode(property)) return null
  const isLiteral = property.type === (computed ? 'StringLiteral' : 'Identifier')
  return isLiteral ? String(property['value']) : null
}

function argsOf({ args }: TemplateNode): readonly unknown[] {
  return Array.isArray(args) ? args : []
}

/** Parses a template. Throws SyntaxError, and TemplateLimit for one that is too long to be a chat template. */
export function compileTemplate(source: string): CompiledTemplate {
  if (source.length > longestTemplate)
    throw new TemplateLimit(`it has ${source.length} characters, at most ${longestTemplate} are read`)
  if (new RegExp(`\\s{${longestSpace}}`).test(source))
    throw new TemplateLimit(`it has ${longestSpace} characters of white space in a row`)
  const program = new Template(source).parsed
  const amounts = new Set<unknown>()
  const operands = new Set<unknown>()
  const callees = new Set<unknown>()

  const limit = (name: string, operand: unknown, args: readonly unknown[]): void => {
    if (!amplifiers.has(name)) return
    operands.add(operand)
    // What is searched for, or split at, makes nothing longer.
    const from = name === 'split' ? args.length : name === 'replace' ? 1 : 0
    for (const [i, arg] of args.entries()) {
      if (!isNode(arg)) continue
      const inner = arg.type === 'KeywordArgumentExpression' ? arg['value'] : arg['argument']
      const isPositional = !arg.type.startsWith('Keyword') && arg.type !== 'SpreadExpression'
      if (!isPositional) amounts.add(inner)
      else if (i >= from) amounts.add(arg)
    }
  }
  const look = (node: TemplateNode): void => {
    const { filter, callee, property } = node
    if (node.type === 'FilterStatement' && isNode(filter)) {
      const named = filter.type === 'CallExpression' && isNode(filter['callee']) ? filter['callee'] : filter
      if (amplifiers.has(String(named['value'])))
        throw new TemplateLimit(`it applies "${String(named['value'])}" to a block`)
    }
    if (node.type === 'FilterExpression' && isNode(filter)) {
      if (filter.type === 'CallExpression' && isNode(filter['callee']))
        limit(String(filter['callee']['value']), node['operand'], argsOf(filter))
      else limit(String(filter['value']), node['operand'], [])
    }
    if (node.type === 'CallExpression' && isNode(callee) && callee.type === 'MemberExpression') {
      const name = memberName(callee)
      if (name === null) return
      callees.add(callee)
      limit(name, callee['object'], argsOf(node))
    }
    if (node.type === 'MemberExpression' && isNode(property) && property.type === 'SliceExpression')
      operands.add(node['object'])
  }
  // A loop, not a recursion: the parser has bounded the depth by its own stack, which may be deeper than ours.
  const open: unknown[] = [program]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (isNode(next)) look(next)
    if (next instanceof Map) open.push(...next.keys(), ...next.values())
    else if (typeof next === 'object' && next !== null) {
      for (const child of Object.values(next))
        if (typeof child === 'object' && child !== null) open.push(child)
    }
  }
  return { program, amounts, operands, callees }
}

/** How large the conversation is that a template is given. */
export interface InputSize {
  readonly messages: number
  readonly characters: number
}

class BoundedInterpreter extends Interpreter {
  private readonly template: CompiledTemplate
  private readonly longestOperand: number
  /** The conversation itself: it is as long as it is, so naming it is free. */
  private readonly given: TemplateValue
  private units: number
  /** Evaluations that are under way. */
  private depth = 0

  constructor(
    environment: TemplateEnvironment,
    template: CompiledTemplate,
    { messages, characters }: InputSize,
  ) {
    super(environment)
    this.template = template
    this.given = environment.lookupVariable('messages')
    this.units = 2 ** 22 + 2 ** 18 * messages + 128 * characters
    this.longestOperand = 2 ** 16 + 2 * characters
  }

  override evaluate(node: TemplateNode | undefined, environment: TemplateEnvironment): TemplateValue {
    this.spend(unitsPerStep)
    // The library looks variables up under a `catch`, which would hide that the stack is used up.
    if (this.depth >= deepest) throw new TemplateLimit('it nests too deeply, or calls itself without end')
    const value = this.deeper(node, environment)
    if (value === this.given || node === undefined) return value
    this.charge(value)
    const { amounts, operands, callees } = this.template
    if (amounts.has(node)) checkAmount(value)
    if (operands.has(node) && lengthOf(value) > this.longestOperand)
      throw new TemplateLimit('it applies a filter to a text that is far longer than the conversation')
    if (value.type === 'FunctionValue' && node.type === 'MemberExpression' && !callees.has(node)) {
      const name = memberName(node)
      if (name === null || amplifiers.has(name)) throw new TemplateLimit('it takes a method as a value')
    }
    return value
  }

  private deeper(node: TemplateNode | undefined, environment: TemplateEnvironment): TemplateValue {
    this.depth++
    try {
      return super.evaluate(node, environment)
    } finally {
      this.depth--
    }
  }

  private spend(units: number): void {
    this.units -= units
    if (this.units < 0)
      throw new TemplateLimit('it does not end, or makes far more than the conversation needs')
  }

  /** The size of a value with everything in it, as often as a part is in it. */
  private charge(value: TemplateValue): void {
    if (value === this.given) return
    if (value.type === 'UndefinedValue') this.spend(unitsPerUnknown)
    this.spend(lengthOf(value))
    for (const part of partsOf(value)) {
      this.spend(unitsPerStep)
      this.charge(part)
    }
  }
}

function lengthOf({ value }: TemplateValue): number {
  return typeof value === 'string' ? value.length : 0
}

/** The elements of an array, the values of a map. */
function partsOf({ value }: TemplateValue): Iterable<TemplateValue> {
  if (Array.isArray(value)) return value as TemplateValue[]
  return value instanceof Map ? (value as Map<string, TemplateValue>).values() : []
}

function checkAmount(amount: TemplateValue): void {
  for (const part of [amount, ...partsOf(amount)]) {
    if (lengthOf(part) > longestArgument || (typeof part.value === 'number' && part.value > longestArgument))
      throw new TemplateLimit(`it gives a filter an argument above ${longestArgument}`)
  }
}

/**
 * The text that the template makes of what is in the environment; `messages` there is the conversation.
 * Throws TemplateLimit, or what the template throws.
 */
export function runTemplate(
  template: CompiledTemplate,
  environment: TemplateEnvironment,
  size: InputSize,
): string {
  try {
    return String(new BoundedInterpreter(environment, template, size).run(template.program).value)
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateLimit(`it nests too deeply (${error.message})`)
    throw error
  }
}
