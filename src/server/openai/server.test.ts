/** The real server on a real tiny model, asked by the official client: the sampler's own answers, whole and in chunks. */
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChatMessage } from '../../model/chat.ts'
import { startTestServer, type TestServer } from './server.fixture.ts'

const context = { signal: new AbortController().signal }
let test: TestServer
beforeAll(async () => {
  test = await startTestServer()
})
afterAll(() => test.close())

const messagesOf = (text: string): ChatMessage[] => [
  { role: 'system', content: 'Be calm.' },
  { role: 'user', content: text },
]
const questions = Array.from({ length: 64 }, (_, i) => `${'sea '.repeat(i % 7)}number ${i}?`)
/** What the sampler says to a chat: the id of the first choice names its random stream. */
const sampled = async (
  text: string,
  { maxTokens = 24, temperature = 0, seed = 0, choice = 0 },
): Promise<{ text: string; tokens: readonly number[]; finish: string }> => {
  const prompt = test.tokenizer.encodeChat(messagesOf(text)).ids
  const request = { id: `choice ${choice}`, prompt, maxTokens, temperature, topP: 1, seed }
  const [result] = await test.sampler.generate([request], context)
  const { tokens, finish } = result!
  return { text: test.tokenizer.decode(tokens), tokens, finish }
}
const chat = (text: string, options: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) =>
  test.client.chat.completions.create({
    model: 'tiny',
    messages: messagesOf(text),
    max_tokens: 24,
    temperature: 0,
    ...options,
  })
const streamed = async (
  text: string,
  options: Partial<OpenAI.ChatCompletionCreateParamsStreaming> = {},
): Promise<OpenAI.ChatCompletionChunk[]> => {
  const chunks: OpenAI.ChatCompletionChunk[] = []
  const stream = await test.client.chat.completions.create({
    model: 'tiny',
    messages: messagesOf(text),
    max_tokens: 24,
    temperature: 0,
    ...options,
    stream: true,
  })
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}
const joined = (chunks: readonly OpenAI.ChatCompletionChunk[], index = 0): string =>
  chunks
    .flatMap(({ choices }) => choices.filter((choice) => choice.index === index))
    .map(({ delta }) => delta.content ?? '')
    .join('')

/** Greedy and not, of many lengths. */
const mixed = (i: number) => ({ temperature: i % 2, seed: i, max_tokens: 8 + i })

describe('chat completions', () => {
  it('say what the sampler says, with its finish and the tokens counted', async () => {
    for (const question of questions.slice(0, 8)) {
      const expected = await sampled(question, {})
      const { choices, usage, object } = await chat(question)
      expect(object).toBe('chat.completion')
      expect(choices).toMatchObject([
        { index: 0, message: { role: 'assistant', content: expected.text }, finish_reason: expected.finish },
      ])
      const drawn = expected.tokens.length + (expected.finish === 'stop' ? 1 : 0)
      const prompt = test.tokenizer.encodeChat(messagesOf(question)).ids.length
      expect(usage).toEqual({
        prompt_tokens: prompt,
        completion_tokens: drawn,
        total_tokens: prompt + drawn,
      })
    }
  })

  it('of 64 clients at once are those of each alone, whole and in chunks', async () => {
    const alone: string[] = []
    for (const [i, question] of questions.entries())
      alone.push((await sampled(question, { temperature: i % 2, seed: i, maxTokens: 8 + i })).text)
    const whole = await Promise.all(questions.map((question, i) => chat(question, mixed(i))))
    expect(whole.map(({ choices }) => choices[0]!.message.content)).toEqual(alone)
    const chunks = await Promise.all(questions.map((question, i) => streamed(question, mixed(i))))
    expect(chunks.map((own) => joined(own))).toEqual(alone)
  })

  it('in chunks never hold half a character, though tokens do', async () => {
    const question = 'any bytes'
    const options = { temperature: 1, max_tokens: 400, seed: 5 }
    const { text, tokens } = await sampled(question, { temperature: 1, maxTokens: 400, seed: 5 })
    const singly = tokens.map((token) => test.tokenizer.tokenText(token)).join('')
    expect(singly).not.toBe(text)
    const chunks = await streamed(question, options)
    expect(joined(chunks)).toBe(text)
    expect(chunks.length).toBeGreaterThan(20)
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant', content: '' })
    expect(chunks.filter(({ choices }) => choices[0]!.finish_reason !== null)).toHaveLength(1)
  })

  it('count their tokens in a last chunk, if that is asked for', async () => {
    const whole = await chat('count')
    const chunks = await streamed('count', { stream_options: { include_usage: true } })
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe(whole.choices[0]!.finish_reason)
  })

  it('of n choices differ, each with a random stream of its own', async () => {
    const options = { n: 3, temperature: 1, seed: 11 }
    const expected = await Promise.all(
      [0, 1, 2].map(async (choice) => (await sampled('many', { ...options, choice })).text),
    )
    expect(new Set(expected).size).toBe(3)
    const { choices } = await chat('many', options)
    expect(choices.map(({ message }) => message.content)).toEqual(expected)
    const chunks = await streamed('many', options)
    expect([0, 1, 2].map((index) => joined(chunks, index))).toEqual(expected)
  })

  it('without a seed are drawn anew each time', async () => {
    const texts = [await chat('again', { temperature: 1 }), await chat('again', { temperature: 1 })]
    expect(texts[0]!.choices[0]!.message.content).not.toBe(texts[1]!.choices[0]!.message.content)
  })
})

describe('log-probabilities', () => {
  it('of a chat are those of the scorer, with the likeliest others first', async () => {
    for (const question of questions.slice(0, 6)) {
      const prompt = test.tokenizer.encodeChat(messagesOf(question)).ids
      const { tokens, finish } = await sampled(question, { temperature: 1, seed: 2 })
      const continuation = finish === 'stop' ? [...tokens, 4] : tokens
      const [score] = await test.sampler.sequenceLogprob([{ id: 's', prompt, continuation }], context)
      const options = { logprobs: true, top_logprobs: 5, temperature: 1, seed: 2 }
      const { choices } = await chat(question, options)
      const content = choices[0]!.logprobs!.content!
      expect(content.map(({ token }) => token)).toEqual(
        continuation.map((token) => test.tokenizer.tokenText(token)),
      )
      expect(Math.abs(content.reduce((sum, { logprob }) => sum + logprob, 0) - score!.logprob)).toBeLessThan(
        1e-5,
      )
      const every = Array.from({ length: test.config.vocabSize }, (_, token) => [token])
      const [first] = await test.sampler.choiceLogprobs([{ id: 'f', prompt, choices: every }], context)
      const best = [...first!.logprobs.entries()].sort(([, a], [, b]) => b - a).slice(0, 5)
      for (const [i, [token, logprob]] of best.entries()) {
        const { token: text, logprob: found, bytes } = content[0]!.top_logprobs[i]!
        expect(text).toBe(test.tokenizer.tokenText(token))
        expect(Math.abs(found - logprob)).toBeLessThan(1e-5)
        expect(bytes === null).toBe(text.includes('\ufffd'))
      }
      const chunks = await streamed(question, options)
      expect(chunks.flatMap(({ choices: [choice] }) => choice!.logprobs?.content ?? [])).toEqual(content)
    }
  })

  it('have an entry for every token that was drawn, the first too, where a stop text ends the answer', async () => {
    let question = ''
    let text = ''
    let content: OpenAI.ChatCompletionTokenLogprob[] = []
    for (question of questions) {
      const { choices } = await chat(question, { logprobs: true, top_logprobs: 2 })
      text = choices[0]!.message.content!
      content = choices[0]!.logprobs!.content!
      // Each of the first two tokens has a text of its own.
      const own = content.slice(0, 2).map(({ token }) => token)
      if (own.every((token) => /^[ -~]+$/.test(token)) && text.startsWith(own.join(''))) break
    }
    const [first, second] = content
    for (const [stop, drawn] of [
      [first!.token, [first]],
      [text.slice(0, first!.token.length + 1), [first, second]],
    ] as const) {
      expect(text.startsWith(stop)).toBe(true)
      const options = { logprobs: true, top_logprobs: 2, stop }
      const { choices, usage } = await chat(question, options)
      expect(choices[0]).toMatchObject({ message: { content: '' }, finish_reason: 'stop' })
      expect(choices[0]!.logprobs!.content).toEqual(drawn)
      expect(usage!.completion_tokens).toBe(drawn.length)
      const chunks = await streamed(question, options)
      expect(joined(chunks)).toBe('')
      expect(chunks.flatMap(({ choices: [choice] }) => choice!.logprobs?.content ?? [])).toEqual(drawn)
    }
  })

  it('of a completion come as lists, with where each token begins', async () => {
    const prompt = test.tokenizer.encode('The sea, the sea')
    const options = { model: 'tiny', prompt, max_tokens: 12, temperature: 0, logprobs: 3 }
    const { choices } = await test.client.completions.create(options)
    const [generated] = await test.sampler.generate(
      [{ id: 'g', prompt, maxTokens: 12, temperature: 0, topP: 1, seed: 0 }],
      context,
    )
    const drawn = generated!.finish === 'stop' ? [...generated!.tokens, 4] : generated!.tokens
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!
    expect(tokens).toEqual(drawn.map((token) => test.tokenizer.tokenText(token)))
    const [score] = await test.sampler.sequenceLogprob([{ id: 's', prompt, continuation: drawn }], context)
    expect(Math.abs(token_logprobs!.reduce((a, b) => a + b, 0) - score!.logprob)).toBeLessThan(1e-5)
    for (const [i, top] of top_logprobs!.entries()) {
      // Greedy: the one that was drawn is the likeliest.
      expect(Math.max(...Object.values(top))).toBe(token_logprobs![i])
      expect(Object.keys(top).length).toBeLessThanOrEqual(3)
    }
    expect(text_offset![0]).toBe(0)
    expect(text_offset).toEqual(text_offset!.toSorted((a, b) => a - b))
  })
})

const complete = (prompt: string | string[] | number[] | number[][], n: number) =>
  test.client.completions.create({ model: 'tiny', prompt, max_tokens: 10, temperature: 1, seed: 3, n })

describe('completions', () => {
  it('take a text, token ids, and lists of either, each answered as alone', async () => {
    const texts = ['The sea', 'Call me ', 'Ça va']
    const singles = []
    for (const text of texts) singles.push((await complete(text, 2)).choices.map((choice) => choice.text))
    const expected = singles.flat()
    expect(new Set(expected).size).toBe(6)
    const ids = texts.map((text) => test.tokenizer.encode(text))
    expect((await complete(texts, 2)).choices.map(({ text }) => text)).toEqual(expected)
    expect((await complete(ids, 2)).choices.map(({ text }) => text)).toEqual(expected)
    expect((await complete(ids[0]!, 2)).choices.map(({ text }) => text)).toEqual(expected.slice(0, 2))
    expect((await complete(texts, 2)).choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('stop before a text that crosses tokens, whole and in chunks', async () => {
    const ask = { model: 'tiny', prompt: 'Some years ago', max_tokens: 60, temperature: 1, seed: 8 }
    const free = await test.client.completions.create({ ...ask, logprobs: 0 })
    const text = free.choices[0]!.text
    const offsets = free.choices[0]!.logprobs!.text_offset!
    // Begins inside a token's text or ends inside one, and reaches over a border between two.
    const border = offsets.find((at, i) => i > 8 && at > (offsets[i - 1] ?? 0) && at < text.length - 3)!
    const stop = text.slice(border - 1, border + 2)
    const cut = text.indexOf(stop)
    expect(cut).toBeGreaterThan(0)
    const whole = await test.client.completions.create({ ...ask, stop: ['never said', stop], logprobs: 0 })
    expect(whole.choices[0]).toMatchObject({ text: text.slice(0, cut), finish_reason: 'stop' })
    // Those of the stop text too, up to the one that completes it: one a token that was drawn.
    const drawn = whole.choices[0]!.logprobs!.text_offset!
    expect(drawn).toEqual(offsets.slice(0, drawn.length))
    expect(drawn).toEqual(offsets.filter((at) => at < cut + stop.length))
    expect(drawn).toHaveLength(whole.usage!.completion_tokens)
    expect(whole.usage!.completion_tokens).toBeLessThan(free.usage!.completion_tokens)
    const pieces: string[] = []
    let finish: string | null = null
    const chunks = await test.client.completions.create({ ...ask, stop, stream: true })
    for await (const { choices } of chunks) {
      pieces.push(choices[0]!.text)
      finish = choices[0]!.finish_reason
    }
    expect([pieces.join(''), finish]).toEqual([text.slice(0, cut), 'stop'])
  })

  it('of 0 tokens are empty', async () => {
    const { choices } = await test.client.completions.create({ model: 'tiny', prompt: 'a', max_tokens: 0 })
    expect(choices[0]).toMatchObject({ text: '', finish_reason: 'length' })
  })
})
