/** One process of an endpoint teacher: `ask.ts URL JOURNAL OUT COUNT` writes the responses to OUT as JSON Lines when it has all. */
import { writeJsonLines } from '../../src/data/json-lines.ts'
import { endpointTeacher } from '../../src/teacher/endpoint-teacher.ts'
import { loadPersona } from '../../src/teacher/persona.ts'

const [url = '', journal = '', out = '', count = ''] = process.argv.slice(2)
const rows = Array.from({ length: Number(count) }, (_, i) => ({ id: `row-${i}`, prompt: `question ${i}` }))
const teacher = endpointTeacher({
  endpoint: { url, model: 'm', timeoutMs: 2000, concurrency: 32, retryMs: 20 },
  persona: await loadPersona('helpful'),
  sampling: { maxTokens: 100, temperature: 0, topP: 1, seed: null },
  budget: null,
  journal,
})
await writeJsonLines(out, await teacher(rows, { seed: 1, signal: new AbortController().signal }))
