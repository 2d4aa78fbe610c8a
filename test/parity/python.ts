/** Runs commands of reference.py in the parity tests' Python environment. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { ChatMessage } from '../../src/model/tokenizer.ts'

export const python = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const script = fileURLToPath(new URL('reference.py', import.meta.url))

/** Why the parity tests cannot run here, or null. Where CI is set, a missing environment is a failure. */
export function missingPython(): string | null {
  if (existsSync(python)) return null
  const reason = 'parity tests need .venv with torch and transformers: run test/parity/setup.sh'
  if (process.env['CI']) throw new Error(reason)
  process.stderr.write(`skipped: ${reason}\n`)
  return reason
}

interface Command extends AdapterCommand, OptimizerCommand, TrainCommand {
  make_model: {
    args: {
      folder: string
      config: Record<string, unknown>
      dtype: string
      seed: number
      scale: number
      max_shard_size?: string
    }
    result: null
  }
  make_tokenizer: {
    args: {
      folder: string
      kind: 'bytes' | 'composed' | 'digits' | 'metaspace'
      texts: readonly string[]
      vocab_size: number
      specials: readonly string[]
      eos: string
      chat_template: string
      split_pattern: string
    }
    result: { vocab: Record<string, number>; merges: string[] }
  }
  forward: {
    args: { folder: string; prompts: readonly (readonly number[])[]; greedy: number }
    result: { logprobs: number[][]; continuations: number[][]; parameters: number; class: string }
  }
  logits: {
    args: { folder: string; prompts: readonly (readonly number[])[] }
    result: { logits: number[][]; class: string }
  }
  tokenize: {
    args: { folder: string; texts: readonly string[]; chats: readonly (readonly ChatMessage[])[] }
    result: {
      full: number[][]
      plain: number[][]
      decoded: string[]
      eos: number
      size: number
      chats: { closed: string; open: string; ids: number[] }[]
    }
  }
}

interface AdapterCommand {
  make_adapter: {
    args: { base: string; folder: string; seed: number; lora: Record<string, unknown>; dtype: string }
    result: null
  }
  resave_adapter: { args: { base: string; folder: string; out: string }; result: null }
  adapter_logprobs: {
    args: { base: string; folder: string; prompts: readonly (readonly number[])[] }
    result: number[][]
  }
  train_adapter: {
    args: {
      base: string
      folder: string
      /** Of each step its documents: tokens and targets, -1 where nothing is scored. */
      steps: readonly (readonly [readonly number[], readonly number[]][])[]
      optimizer: Record<string, unknown>
      clip: number
    }
    result: { losses: number[]; parameters: number }
  }
}

interface TrainCommand {
  train_model: {
    args: {
      folder: string
      steps: readonly (readonly (readonly [readonly number[], readonly number[]])[])[]
      optimizer: Record<string, unknown>
      clip: number
      /** Learning rate of each step. */
      rates: readonly number[]
    }
    result: { losses: number[]; parameters: number }
  }
}

/** Elements of a vector, or rows of a matrix. */
export type Values = readonly number[] | readonly (readonly number[])[]

interface OptimizerCommand {
  soap: {
    args: {
      weights: readonly Values[]
      /** Of each step those of every parameter. */
      gradients: readonly (readonly Values[])[]
      options: {
        lr: number
        betas: readonly [number, number]
        eps: number
        weight_decay: number
        frequency: number
        /** Sides that are longer are not rotated. */
        limit: number
      }
    }
    /** Weights after each step. */
    result: { plain: Values[][]; package: Values[][] }
  }
}

export type ReferenceCommand = {
  [Name in keyof Command]: { do: Name } & Command[Name]['args']
}[keyof Command]
export type ResultOf<C> = C extends { do: infer Name extends keyof Command } ? Command[Name]['result'] : never

/** Runs the commands in one process, in order. Throws what Python printed if it fails. */
export async function reference<const T extends readonly ReferenceCommand[]>(
  commands: T,
): Promise<{ -readonly [K in keyof T]: ResultOf<T[K]> }> {
  const child = spawn(python, [script], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', TRANSFORMERS_VERBOSITY: 'error' },
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  child.stdin.end(JSON.stringify(commands))
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`reference.py ended with ${code}:\n${errors}`)
  return JSON.parse(out) as { -readonly [K in keyof T]: ResultOf<T[K]> }
}
