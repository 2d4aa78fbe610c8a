/** Generates responses that join and leave while it runs; each is told token by token, and ends with what `generate` gives. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Draw } from '../engine.ts'
import { openInference } from './inference.ts'
import { MAX_SLOTS } from './kv-cache.ts'
import { allocateDraws, newResponse, type Response, stepResponses } from './responses.ts'
import type { SampledModel } from './sampled-model.ts'
import type { StreamDraws, StreamMessage, StreamTask } from './sampler-protocol.ts'
import { Slots } from './slots.ts'

/**
 * Runs until nothing is under way; returns how many requests it took. Between two steps it reads what the host has sent,
 * without giving the thread back: its other tasks wait until the stream has ended.
 */
export function stream(model: SampledModel, { port, positions }: StreamTask, beforeStep: () => void): number {
  const inference = openInference(model, { sequences: MAX_SLOTS, positions })
  const slots = new Slots<Response>([], inference)
  const draws = allocateDraws(inference.cache.slots)
  const open = new Map<number, Response>()
  const names = new Map<Response, number>()
  let taken = 0

  const forget = (response: Response, name: number): void => {
    open.delete(name)
    names.delete(response)
    slots.remove(response)
  }
  const hear = (message: StreamMessage): void => {
    if (message.kind === 'end') {
      const response = open.get(message.response)
      if (response) forget(response, message.response)
      return
    }
    taken++
    const response = newResponse(message.request, model.network.config)
    open.set(message.response, response)
    names.set(response, message.response)
    slots.add(response)
  }
  for (;;) {
    for (const message of received(port)) hear(message)
    const turns = slots.next()
    if (turns.length === 0) break
    beforeStep()
    const told: { response: number; draw: Draw }[] = []
    const drawn = stepResponses(inference, turns, { draws, stopIds: model.stopIds })
    for (const { response, token, logprobs } of drawn) {
      const name = names.get(response) ?? 0
      const { finish } = response
      told.push({ response: name, draw: { token, finish, logprobs } })
      if (finish !== null) forget(response, name)
    }
    if (told.length > 0) port.postMessage(told satisfies StreamDraws, [])
  }
  port.close()
  return taken
}

/** What has arrived and was not read yet. */
function* received(port: MessagePort): Generator<StreamMessage> {
  for (;;) {
    const next = receiveMessageOnPort(port)
    if (next === undefined) return
    yield next.message as StreamMessage
  }
}
