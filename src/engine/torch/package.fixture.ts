/** A process in the place of Python: it answers as the torch package does, and ends in the way that SCENARIO says. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [command, ...rest] = process.argv.slice(2)
const scenario = process.env['SCENARIO'] ?? 'done'

if (command === '-c') {
  const versions = Object.fromEntries(
    rest.slice(1).map((name) => [name, name === 'torch' ? '2.13.0+cpu' : null]),
  )
  process.stdout.write(JSON.stringify({ python: '3.11.7', package: scenario !== 'no package', versions }))
} else if (rest[1] === 'train') {
  train(rest[2] ?? '')
} else {
  forward()
}

function step(i: number): object {
  const numbers = { loss: 1 / i, lr: 0.1, grad_norm: 2, tokens: 10, scored: 5, tokens_per_second: 100 }
  return { type: 'step', step: i, ...numbers }
}

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

interface Job {
  readonly work_dir: string
  readonly checkpoints: readonly number[]
}

function train(file: string): void {
  const { work_dir: workDir, checkpoints } = JSON.parse(readFileSync(file, 'utf8')) as Job
  const events = join(workDir, 'events.jsonl')
  const time = new Date().toISOString()
  const line = (event: object): string => `${JSON.stringify({ ...event, time })}\n`
  const emit = (event: object): void => appendFileSync(events, line(event))
  if (scenario === 'bad job') {
    emit({ type: 'error', code: 'bad_job', message: 'the job is wrong: x is missing', hint: '' })
    process.exit(2)
  }
  if (scenario === 'apart') {
    const cause = 'The client socket has timed out after 300000ms while trying to connect to (n1, 20001).'
    const others = Array.from({ length: 20 }, (_, i) => `  File "torch/distributed/run.py", line ${i}`)
    process.stderr.write(`torch.distributed.DistNetworkError: ${cause}\n${others.join('\n')}\n`)
    process.exit(143)
  }
  const about = { parameters: 20, trainable: 10, world: 1, distributed: 'none' }
  emit({ type: 'start', step: 0, ...about, device: 'cpu', dtype: 'float32', attention: 'sdpa' })
  emit(step(1))
  if (scenario === 'garbage') appendFileSync(events, 'Loading weights: 100%\n')
  if (scenario === 'nan') {
    emit({ type: 'error', code: 'nan', message: 'step 2: the loss is nan', hint: 'Lower the learning rate.' })
    process.exit(1)
  }
  if (scenario === 'killed') {
    process.stderr.write('reading shard 3 of 8\nslurmstepd: error: Detected 1 oom-kill event\n')
    appendFileSync(events, '{"type": "st')
    process.kill(process.pid, 'SIGKILL')
  }
  if (scenario === 'no module') {
    process.stderr.write("ModuleNotFoundError: No module named 'psutil'\n")
    process.exit(1)
  }
  if (scenario === 'deaf') {
    writeFileSync(join(workDir, 'pid'), String(process.pid))
    process.on('SIGTERM', () => undefined)
  }
  if (scenario === 'deaf' || scenario === 'stoppable') {
    setInterval(() => {
      if (scenario === 'deaf' || !existsSync(join(workDir, 'STOP'))) return
      emit({ type: 'preempted', step: 1 })
      process.exit(75)
    }, 20)
    return
  }
  // In two writes, as a reader may see it.
  const [whole] = [line(step(2))]
  appendFileSync(events, whole.slice(0, 30))
  setTimeout(() => {
    appendFileSync(events, whole.slice(30))
    for (const at of checkpoints) {
      const folder = join(workDir, `checkpoint-${at}`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'config.json'), '{}')
      emit({ type: 'checkpoint', step: at, folder })
    }
    emit({ type: 'end', step: 2 })
  }, 300)
}

/** Says its prompt back; log-probabilities are minus the number of tokens. */
function forward(): void {
  if (scenario === 'no model') {
    say({ error: 'x is no model folder', hint: 'name another' })
    process.exit(2)
  }
  say({ ready: true, parameters: 10, max_positions: 40, torch: '2.13.0' })
  createInterface({ input: process.stdin }).on('line', (text) => {
    const { id, kind, requests } = JSON.parse(text) as {
      id: string
      kind: string
      requests: { prompt: number[]; choices: number[][] }[]
    }
    const answers = requests.map(({ prompt, choices }) => {
      if (prompt[0] === 13) return { error: 'unlucky' }
      if (prompt[0] === 14) {
        process.stderr.write('CUDA error: an illegal memory access\n')
        process.exit(1)
      }
      if (kind === 'generate') return { tokens: prompt, finish: 'stop' }
      if (kind === 'choices') return { logprobs: choices.map((choice) => -choice.length) }
      return { logprob: -1, tokens: 1 }
    })
    say({ id, answers, parts: requests.length > 60 ? 2 : 1 })
  })
}
