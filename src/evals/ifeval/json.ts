/** Whether Python's `json.loads` reads a text: JSON with `NaN` and `Infinity`, and without integers of more than 4,300 digits. */

const stringOrConstant = /"(?:[^"\\]|\\[\s\S])*"|NaN|-?Infinity/gu
const stringOrNumber = /"(?:[^"\\]|\\[\s\S])*"|\d[\d.eE+-]*/gu

export function isPythonJson(text: string): boolean {
  // The spaces keep what stands beside a constant apart from it: `1NaN` is as wrong as `1 0`.
  const plain = text.replace(stringOrConstant, (found) => (found.startsWith('"') ? found : ' 0 '))
  try {
    JSON.parse(plain)
  } catch {
    return false
  }
  return text.length <= 4300 || !hasHugeInteger(text)
}

/** Python refuses to convert such integers; with a fraction or an exponent they are read. */
function hasHugeInteger(json: string): boolean {
  return [...json.matchAll(stringOrNumber)].some(([found]) => /^\d{4301,}$/u.test(found))
}
