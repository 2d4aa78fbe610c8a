/** Stands where `vllm` would: `serve FOLDER --port N` answers as vLLM does, with the tiny model's own tokens, and may die (VLLM_DIES). */
import { createEmbeddedEngine } from '../../../src/engine/embedded/engine.ts'
import { startCompletionsServer } from '../../../src/engine/torch/completions-server.fixture.ts'
import { openTokenizer } from '../../../src/model/tokenizer.ts'

const [, folder = '', ...args] = process.argv.slice(2)
const port = Number(args[args.indexOf('--port') + 1])
/** Completions that it answers; 0: it does not even begin. */
let answers = Number(process.env['VLLM_DIES'] ?? Infinity)

function die(): never {
  process.stderr.write('CUDA error: an illegal memory access was encountered\n')
  process.exit(1)
}

if (answers === 0) die()
await startCompletionsServer({
  dialect: 'vllm',
  folder,
  sampler: await createEmbeddedEngine().openSampler(folder),
  tokenizer: await openTokenizer(folder),
  port,
  onCompletion: () => {
    if (answers-- <= 0) die()
  },
})
