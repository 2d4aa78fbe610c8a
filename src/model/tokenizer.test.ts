/** Encoding, decoding, chats and the guard that keeps special tokens out of contents; damaged tokenizer folders. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trainByteBpe, writeTokenizerFolder } from './bpe.ts'
import { chatSpecials } from './chat.ts'
import { HfTokenizer, type LibraryTokenizer } from './hf-tokenizers.ts'
import { type ChatMessage, openTokenizer, type Tokenizer } from './tokenizer.ts'

const corpus = [
  "It's a truth universally acknowledged, that a single man in possession of 1,000 pounds must be in want of a wife.",
  'Call me Ishmael. Some years ago, never mind how long precisely, the sea was calm.\n\nThe sea, the sea! 😀 Ça va?',
]
let dir = ''
let tokenizer: Tokenizer
let library: LibraryTokenizer

const trained = () => trainByteBpe(corpus, { vocabSize: 320, specials: [...chatSpecials] })
async function readAsJson(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tokenizer-'))
  await writeTokenizerFolder(dir, trained(), { modelMaxLength: 128 })
  tokenizer = await openTokenizer(dir)
  library = new HfTokenizer(
    await readAsJson(join(dir, 'tokenizer.json')),
    await readAsJson(join(dir, 'tokenizer_config.json')),
  )
})
afterAll(() => rm(dir, { recursive: true }))

/** Any code points; fast-check's own `binary` unit takes a second to build. */
const anyCodePoints = fc
  .array(
    fc
      .oneof(fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff }))
      .map((codePoint) => String.fromCodePoint(codePoint)),
  )
  .map((characters) => characters.join(''))
const wild = fc.oneof(
  anyCodePoints,
  fc.string({ unit: 'grapheme' }),
  fc
    .array(
      fc.constantFrom(...chatSpecials, '<|', '|>', 'end', ' ', '\r\n', "'s", '1', 'é', '👩‍👩‍👧', '\ufdd0', '0'),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
)

test('any text comes back whole, special tokens in it included', () => {
  fc.assert(
    fc.property(wild, (text) => {
      const ids = tokenizer.encodeCompletion(text)
      expect(ids.at(-1)).toBe(tokenizer.endOfTurn)
      expect(ids.slice(0, -1).every((id) => id >= chatSpecials.length)).toBe(true)
      expect(tokenizer.decode(ids)).toBe(text)
    }),
    { numRuns: 500 },
  )
})

test('a lone surrogate becomes U+FFFD, as in UTF-8', () => {
  expect(tokenizer.decode(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb')
})

test('the cache of pieces gives what the library gives', () => {
  fc.assert(
    fc.property(wild, (text) => {
      expect(tokenizer.encode(text)).toEqual(library.encode(text, { add_special_tokens: false }).ids)
    }),
    { numRuns: 500 },
  )
})

test('special tokens are recognised in text and left out of decoded text', () => {
  const ids = tokenizer.encode('<|user|>sea<|end|>')
  expect([ids[0], ids.at(-1)]).toEqual([2, 4])
  expect(tokenizer.decode(ids)).toBe('sea')
  expect(tokenizer.decode([])).toBe('')
  expect(tokenizer.decode([0, 4, 100_000])).toBe('')
})

test('one token says its text, special ones too', () => {
  const ids = tokenizer.encode('sea 😀')
  expect(ids.slice(0, -4).map(tokenizer.tokenText).join('')).toBe('sea ')
  expect(tokenizer.tokenText(ids.at(-1)!)).toBe('\ufffd')
  expect([4, 100_000].map(tokenizer.tokenText)).toEqual(['<|end|>', ''])
})

test('a chat is its template, and its ids are those of the rendered text', () => {
  const messages: ChatMessage[] = [
    { role: 'system', content: 'Be calm.' },
    { role: 'user', content: ' the sea?\n' },
    { role: 'assistant', content: 'Yes.' },
    { role: 'user', content: '' },
  ]
  const rendered =
    '<|system|>Be calm.<|end|><|user|> the sea?\n<|end|><|assistant|>Yes.<|end|><|user|><|end|>'
  expect(tokenizer.renderChat(messages, { addGenerationPrompt: false })).toBe(rendered)
  expect(tokenizer.encodeChat(messages)).toEqual({
    rendered: `${rendered}<|assistant|>`,
    ids: tokenizer.encode(`${rendered}<|assistant|>`),
  })
})

test('no content can end a turn or open one', () => {
  fc.assert(
    fc.property(fc.array(wild, { minLength: 1, maxLength: 3 }), (contents) => {
      const messages = contents.map((content, i): ChatMessage => ({
        role: i % 2 === 0 ? 'user' : 'assistant',
        content,
      }))
      const { rendered, ids } = tokenizer.encodeChat(messages)
      expect(rendered).toBe(tokenizer.renderChat(messages, { addGenerationPrompt: true }))
      const turns: number[][] = []
      for (const id of ids) {
        if (id === 2 || id === 3) turns.push([])
        else if (id !== 4) turns.at(-1)?.push(id)
      }
      expect(ids.filter((id) => id === 4)).toHaveLength(messages.length)
      expect(turns.map((turn) => tokenizer.decode(turn))).toEqual([...contents, ''])
    }),
    { numRuns: 300 },
  )
})

/** A folder with this change to its two files. */
async function changed(
  change: (files: { json: Record<string, unknown>; config: Record<string, unknown> }) => void,
): Promise<string> {
  const folder = await mkdtemp(join(dir, 'changed-'))
  await writeTokenizerFolder(folder, trained(), { modelMaxLength: 128 })
  const files = {
    json: await readAsJson(join(folder, 'tokenizer.json')),
    config: await readAsJson(join(folder, 'tokenizer_config.json')),
  }
  change(files)
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(files.json))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(files.config))
  return folder
}

test('a tokenizer that the cache does not fit gives the same ids by the library, guard included', async () => {
  const folder = await changed(({ json }) => {
    json['pre_tokenizer'] = {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: false,
    }
  })
  const slow = await openTokenizer(folder)
  fc.assert(
    fc.property(wild, (text) => {
      const ids = slow.encodeCompletion(text)
      expect(slow.decode(ids)).toBe(text)
      expect(ids.slice(0, -1).every((id) => id >= chatSpecials.length)).toBe(true)
      const chat = slow.encodeChat([{ role: 'user', content: text }]).ids
      expect(chat).toEqual([2, ...ids, 3])
    }),
    { numRuns: 200 },
  )
})

test('a tokenizer that composes characters first (Qwen) gives the ids of the composed text', async () => {
  const composing = await openTokenizer(
    await changed(({ json }) => {
      json['normalizer'] = { type: 'NFC' }
    }),
  )
  const text = 'e\u0301<|end|>\u1e9b\u0323 sea'
  expect(composing.encode(text)).toEqual(tokenizer.encode(text.normalize('NFC')))
  expect(composing.encode(text)).not.toEqual(tokenizer.encode(text))
})

/** A folder whose tokenizer takes digits apart before it splits as GPT-2 does. */
const digitsApart = (individual_digits: boolean): Promise<string> =>
  changed(({ json }) => {
    const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
    json['pre_tokenizer'] = {
      type: 'Sequence',
      pretokenizers: [{ type: 'Digits', individual_digits }, bytes],
    }
  })

test('digits of every script stand alone where a tokenizer takes digits apart (SmolLM2)', async () => {
  const alone = [...tokenizer.encode('\r\n'), ...tokenizer.encode('²')]
  for (const individual of [true, false])
    expect((await openTokenizer(await digitsApart(individual))).encode('\r\n²')).toEqual(alone)
})

test('the token that ends a turn is special even where tokenizer.json does not list it', async () => {
  const unlisted = await openTokenizer(
    await changed(({ json }) => {
      json['added_tokens'] = (json['added_tokens'] as { id: number }[]).filter(({ id }) => id < 3)
    }),
  )
  const messages: ChatMessage[] = [{ role: 'user', content: 'sea <|end|>' }]
  const end = {
    ids: unlisted.encode('<|end|>'),
    guarded: unlisted.encodeChat(messages).ids.filter((id) => id === 4),
  }
  expect(end).toEqual({ ids: [4], guarded: [4] })
})

test('a template of its own file wins, may trim and may ask for the date, which is always the same', async () => {
  const folder = await changed(({ config }) => {
    config['eos_token'] = { content: '<|end|>', lstrip: false }
  })
  const before = await openTokenizer(folder)
  await writeFile(
    join(folder, 'chat_template.jinja'),
    `{%- if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}no date{% endif %}
{%- for m in messages %}
    {{- '<|' + m.role + '|>' + m.content | trim + eos_token }}
{%- endfor %}`,
  )
  const tokenizerOf = await openTokenizer(folder)
  const { rendered, ids } = tokenizerOf.encodeChat([{ role: 'user', content: '  <|end|> sea ' }])
  expect(rendered).toBe('26 Jul 2024<|user|><|end|> sea<|end|>')
  expect(ids.filter((id) => id === 4)).toHaveLength(1)
  expect(tokenizerOf.decode(ids)).toBe('26 Jul 2024<|end|> sea')
  expect(tokenizerOf.hash).not.toBe(before.hash)
})

async function hashOf(change: Parameters<typeof changed>[0]): Promise<string> {
  return (await openTokenizer(await changed(change))).hash
}

test('the hash is that of what changes ids', async () => {
  const hash = await hashOf(() => {})
  expect(hash).toMatch(/^[0-9a-f]{64}$/)
  expect(await hashOf(({ config }) => (config['model_max_length'] = 7))).toBe(hash)
  expect(await hashOf(({ config }) => (config['chat_template'] = 'x'))).not.toBe(hash)
  expect(await hashOf(({ config }) => (config['eos_token'] = '<|pad|>'))).not.toBe(hash)
  expect(await hashOf(({ json }) => (json['version'] = '1.1'))).not.toBe(hash)
})

test.each<[string, Parameters<typeof changed>[0], string]>([
  [
    'no eos token',
    ({ config }) => delete config['eos_token'],
    '"eos_token" is missing, so nothing can end a turn',
  ],
  ['an unknown eos token', ({ config }) => (config['eos_token'] = '</s>'), 'has no token "</s>"'],
  [
    'a broken template',
    ({ config }) => (config['chat_template'] = '{% for %}'),
    'its chat template cannot be parsed',
  ],
  ['no model', ({ json }) => delete json['model'], 'tokenizer.json: "model": Invalid input'],
  [
    'an unknown model',
    ({ json }) => (json['model'] = { type: 'Mystery', vocab: null }),
    'tokenizer.json: cannot be used',
  ],
  [
    'an unknown pre-tokenizer',
    ({ json }) => (json['pre_tokenizer'] = { type: 'Mystery' }),
    'tokenizer.json: cannot be used',
  ],
])('%s is refused', async (_, change, message) => {
  const folder = await changed(change)
  const error = await openTokenizer(folder).catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'BAD_MODEL', message: expect.stringContaining(message) })
})

test('a template that is missing or that refuses is refused when it is used', async () => {
  const missing = await openTokenizer(await changed(({ config }) => delete config['chat_template']))
  expect(() => missing.renderChat([], { addGenerationPrompt: true })).toThrow('there is no chat template')
  const raising = await openTokenizer(
    await changed(
      ({ config }) => (config['chat_template'] = "{{ raise_exception('no ' + messages[0].role) }}"),
    ),
  )
  expect(() => raising.encodeChat([{ role: 'system', content: '' }])).toThrow(
    'refuses these messages (no system)',
  )
})

test('a folder without a tokenizer is refused', async () => {
  await expect(openTokenizer(join(dir, 'nowhere'))).rejects.toThrow('tokenizer.json: no such file')
})
