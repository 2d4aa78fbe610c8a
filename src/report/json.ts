/** Readable JSON: what fits in a line stays on one line, so that a curve reads as a table. */

const LINE = 180

/** JSON text of plain data, indented by two spaces where it does not fit in a line; ends in a newline. */
export function formatJson(value: unknown): string {
  return `${format(value, '')}\n`
}

function format(value: unknown, indent: string): string {
  const flat = JSON.stringify(value)
  if (indent.length + flat.length <= LINE || value === null || typeof value !== 'object') return flat
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    return `[\n${value.map((item: unknown) => inner + format(item, inner)).join(',\n')}\n${indent}]`
  }
  const lines = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => `${inner}${JSON.stringify(key)}: ${format(item, inner)}`)
  return `{\n${lines.join(',\n')}\n${indent}}`
}
