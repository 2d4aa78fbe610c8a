/** HTML that cannot be injected into: a template tag that escapes every string it is given. */

/** Text that is HTML already. Only `html` and `trusted` make it. */
export interface Markup {
  readonly markup: string
}

export type Content = string | number | Markup | null | undefined | false | readonly Content[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char)
}

/** Strings and numbers are escaped, markup and lists of it are put in as they are, nothing is left out. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return { markup: parts.map((part, i) => part + (i < contents.length ? render(contents[i]) : '')).join('') }
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return ''
  if (typeof content === 'string') return escapeHtml(content)
  if (typeof content === 'number') return String(content)
  if ('markup' in content) return content.markup
  return content.map(render).join('')
}

/** For text made by this program and known to be HTML, such as a drawn SVG. Never for text of a model or a user. */
export function trusted(markup: string): Markup {
  return { markup }
}
