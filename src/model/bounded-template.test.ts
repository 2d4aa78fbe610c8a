/** Templates that never end or write without bound are refused soon, in little memory; those in the manner of real models are rendered. */
import { describe, expect, test } from 'vitest'
import { type ChatMessage, chatTemplate, compileChatTemplate } from './chat.ts'
import { dated, thinking } from './templates.fixture.ts'

const compile = (source: string) =>
  compileChatTemplate('t.json', source, { bos_token: '<s>', eos_token: '</s>' })
const user: ChatMessage = { role: 'user', content: 'Why is the sky blue?' }

/** Thirty doublings. */
const doublings = '{% for i in range(30) %}'

const hostile: [string, string, string][] = [
  [
    'loops in loops',
    `${'{% for i in range(1000) %}'.repeat(5)}${'{% endfor %}'.repeat(5)}`,
    'it does not end, or makes far more',
  ],
  ['a huge range', '{% for i in range(1000000000) %}{% endfor %}', 'a range of 1000000000 numbers'],
  ['a range without an end', '{% for i in range(0, 1, 0) %}{% endfor %}', 'a range of Infinity numbers'],
  ['endless recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'it nests too deeply'],
  [
    'branching recursion',
    '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
    'it does not end, or makes far more',
  ],
  [
    'a text that doubles',
    `{% set ns = namespace(t='x') %}${doublings}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}`,
    'it does not end, or makes far more',
  ],
  [
    'a list that doubles',
    `{% set ns = namespace(t=[1]) %}${doublings}{% set ns.t = ns.t + ns.t %}{% endfor %}`,
    'it does not end, or makes far more',
  ],
  [
    'a list of the same list, deeper and deeper',
    `{% set ns = namespace(t=[1]) %}${doublings}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t | tojson }}`,
    'it does not end, or makes far more',
  ],
  [
    'a namespace that holds itself',
    '{% set ns = namespace(a=1) %}{% set ns.b = ns %}{{ ns | tojson }}',
    'it ',
  ],
  ['a wide indent', "{{ 'a\nb' | indent(width=400000000) }}", 'an argument above 64'],
  ['wide JSON', '{{ messages | tojson(indent=400000000) }}', 'an argument above 64'],
  [
    'a long separator',
    `{% set ns = namespace(t='x') %}{% for i in range(16) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ range(9000) | join(ns.t) }}`,
    'an argument above 64',
  ],
  [
    'a long replacement',
    `{% set ns = namespace(t='x') %}{% for i in range(16) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t.replace('x', ns.t) }}`,
    'an argument above 64',
  ],
  [
    'a long replacement that is spread',
    `{% set ns = namespace(t='x') %}{% for i in range(16) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t.replace(*['x', ns.t]) }}`,
    'an argument above 64',
  ],
  [
    'a replacement by another name',
    "{% set f = messages[0]['content'].replace %}{{ f('a', 'b') }}",
    'it takes a method as a value',
  ],
  [
    'a replacement whose name is computed',
    "{{ messages[0]['content']['repl' ~ 'ace']('a', 'b') }}",
    'it takes a method as a value',
  ],
  [
    'a replacement of a block',
    "{% filter replace('a', 'b') %}a{% endfilter %}",
    'applies "replace" to a block',
  ],
  [
    'a text cut into its characters',
    `{% set ns = namespace(t='x') %}{% for i in range(17) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t[::-1] }}`,
    'far longer than the conversation',
  ],
  ['white space without end', `{{ 1 }}${' '.repeat(5000)}{{ 2 }}`, '1000 characters of white space'],
  ['a template of megabytes', 'x'.repeat(2 ** 20), 'it has 1048576 characters'],
]

describe('hostile templates', () => {
  test.each(hostile)('%s', (_, source, message) => {
    const before = process.memoryUsage.rss()
    const started = performance.now()
    expect(() => compile(source)).toThrow(
      expect.objectContaining({ code: 'BAD_MODEL', message: expect.stringContaining(message) }),
    )
    expect(performance.now() - started).toBeLessThan(1000)
    expect(process.memoryUsage.rss() - before).toBeLessThan(64e6)
  })

  test('one that waits for a certain message is stopped when it comes', () => {
    const render = compile(
      `{% for m in messages %}{% if 'sky' in m.content %}${hostile[0]?.[1]}{% endif %}{% endfor %}ok`,
    )
    expect(render([{ role: 'user', content: 'Hello' }], { addGenerationPrompt: true })).toBe('ok')
    expect(() => render([user], { addGenerationPrompt: true })).toThrow(
      'its chat template is refused (it does not end',
    )
  })
})

test('the date is the pinned one, however a template asks for it', () => {
  const render = compile(dated)
  const messages: ChatMessage[] = [{ role: 'system', content: ' Be brief. ' }, user]
  expect(render(messages, { addGenerationPrompt: true })).toBe(
    '<s><|system|>\nToday: 26 Jul 2024 / Friday, 26 July 2024 00:00 %\nBe brief.</s>' +
      '<|user|>\nWhy is the sky blue?</s><|assistant|>\n',
  )
})

test('thoughts are cut out of the turns before the last question', () => {
  const render = compile(thinking)
  const messages: ChatMessage[] = [
    user,
    { role: 'assistant', content: '<think>\nlight\n</think>\n\nIt scatters.' },
    { role: 'user', content: 'Why?' },
    { role: 'assistant', content: '<think>\nwaves\n</think>\n\nShort waves do.' },
  ]
  expect(render(messages, { addGenerationPrompt: false })).toBe(
    '[user]Why is the sky blue?[/]\n[assistant]It scatters.[/]\n[user]Why?[/]\n[assistant](waves) Short waves do.[/]',
  )
})

test('long conversations and long messages stay within bounds', () => {
  const long: ChatMessage[] = Array.from({ length: 1000 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: `<think>${'x'.repeat(1000)}</think> answer ${i}`,
  }))
  for (const source of [dated, thinking, chatTemplate]) {
    const render = compile(source)
    expect(render(long, { addGenerationPrompt: true })).toContain('answer 999')
    const huge: ChatMessage = { role: 'user', content: 'word '.repeat(400_000) }
    expect(render([huge], { addGenerationPrompt: true }).length).toBeGreaterThan(1_999_000)
  }
})

test('loops may skip and stop as often as there are messages', () => {
  const render = compile(
    '{% for m in messages %}{% if loop.index > 3000 %}{% break %}{% endif %}{% if m.role == "user" %}{% continue %}{% endif %}.{% endfor %}',
  )
  const many = Array.from({ length: 4000 }, (_, i): ChatMessage => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: 'x',
  }))
  expect(render(many, { addGenerationPrompt: false })).toBe('.'.repeat(1500))
})

test('a template that refuses a conversation is opened, and says so when it is given one', () => {
  const render = compile("{{ raise_exception('no ' ~ messages[0].role ~ '\\n' ~ 'second line') }}")
  expect(() => render([user], { addGenerationPrompt: true })).toThrow(
    expect.objectContaining({
      message: 't.json: its chat template refuses these messages (no user second line)',
    }),
  )
})
