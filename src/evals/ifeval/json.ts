/** Whether Python's `json.loads` reads a text: JSON with `NaN` and `Infinity`, and without integers of more than 4,300 digits. */

/** Python refuses to convert longer integers; with a fraction or an exponent they are read. */
const mostDigits = 4300

/** Linear in the text, and without a stack: one string may have any number of MB. */
export function isPythonJson(text: string): boolean {
  const parts = [...split(text)]
  // The spaces keep what stands beside a constant apart from it: `1NaN` is as wrong as `1 0`.
  const plain = parts.map(({ part, quoted }) => (quoted ? part : part.replaceAll(/NaN|-?Infinity/gu, ' 0 ')))
  try {
    JSON.parse(plain.join(''))
  } catch {
    return false
  }
  return text.length <= mostDigits || !parts.some(({ part, quoted }) => !quoted && hasHugeInteger(part))
}

interface Part {
  readonly part: string
  /** A string with its quotation marks; the last one may be without its end. */
  readonly quoted: boolean
}

/** The text cut before and behind each string. */
function* split(text: string): Generator<Part> {
  for (let from = 0; from < text.length;) {
    const quote = text.indexOf('"', from)
    if (quote !== from) yield { part: text.slice(from, quote < 0 ? text.length : quote), quoted: false }
    if (quote < 0) return
    from = stringEnd(text, quote)
    yield { part: text.slice(quote, from), quoted: true }
  }
}

/** Behind the quotation mark that ends the string. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length
}

/** In JSON outside of strings. */
function hasHugeInteger(json: string): boolean {
  for (let i = 0; i < json.length; i++) {
    if (!isDigit(json, i)) continue
    const start = i
    while (isDigit(json, i)) i++
    if (i - start > mostDigits && !'.eE'.includes(json[i] ?? ' ')) return true
    // The rest of the number; its digits are no integer of their own.
    while (isDigit(json, i) || '.eE+-'.includes(json[i] ?? ' ')) i++
  }
  return false
}

function isDigit(text: string, i: number): boolean {
  const code = text.charCodeAt(i)
  return code >= 48 && code <= 57
}
