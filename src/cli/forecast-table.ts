/** The cost table of a plan for people. */
import type { AskingRow, Forecast, ForecastRow } from '../run/forecast.ts'
import type { Assumed } from '../run/plan-run.ts'
import { gigabytes } from '../run/memory.ts'
import { duration } from './terminal.ts'

/** Lines with what each group takes, and what the forecast rests on; none where nothing is trained or sampled. */
export function forecastTable(forecast: Forecast, assumed: readonly Assumed[]): string[] {
  const asking = forecast.asking.map(askingLine)
  return forecast.rows.length === 0 ? asking : computed(forecast, asking, assumed)
}

function computed(
  { rows, total }: Forecast,
  asking: readonly string[],
  assumed: readonly Assumed[],
): string[] {
  const onGpus = total.gpuHours !== null
  const head = [
    'what it takes',
    'stages',
    'tokens',
    'flops',
    onGpus ? 'GPU hours' : 'time',
    onGpus ? 'of each GPU' : 'memory',
    'checkpoints',
    'states',
  ]
  const lines = aligned([head, ...rows.map((row) => cellsOf(row, onGpus))])
  const noted = Map.groupBy(
    rows.flatMap(({ what, notes }) => notes.map((note) => ({ what, note }))),
    ({ note }) => note,
  )
  const notes = [...noted].map(([note, those]) => `${those.map(({ what }) => what).join(', ')}: ${note}`)
  const sum = [
    `${total.flops.toExponential(1)} flops`,
    ...(total.gpuHours === null ? [] : [`${count(total.gpuHours)} GPU hours`]),
    `${large(total.diskBytes)} of disk${total.downloadBytes > 0 ? ` (${large(total.downloadBytes)} of them models to download)` : ''}`,
  ]
  return [
    ...lines,
    ...asking,
    `together: ${sum.join(', ')}${asking.length > 0 ? '; without what endpoints take' : ''}`,
    ...notes,
    ...assumed.map((each) => assumptions(each, assumed.length > 1)),
  ]
}

function askingLine({ what, questions, tokens, usd }: AskingRow): string {
  const most = `at most ${count(tokens)} tokens of responses${usd === null ? '' : ` and $${usd.toFixed(2)}`}`
  return `ask ${shortened(what)}: ${count(questions)} questions to an endpoint, ${most}; how long it takes is the server's to say`
}

const shortened = (what: string): string => what.replace(/^(train|pretrain|responses) /, '')

function cellsOf(row: ForecastRow, onGpus: boolean): string[] {
  const { work, what, stages, tokens, flops, seconds, gpuHours, device, memoryBytes, disk } = row
  const trains = work === 'training'
  return [
    `${trains ? 'train' : 'sample'} ${shortened(what)}`,
    String(stages),
    count(tokens),
    flops.toExponential(1),
    onGpus ? (gpuHours === null ? '' : count(gpuHours)) : duration(seconds),
    onGpus ? deviceText(device) : gigabytes(memoryBytes),
    trains ? large(disk.checkpoints) : '',
    trains ? large(disk.states) : '',
  ]
}

function deviceText(device: ForecastRow['device']): string {
  if (device === null) return ''
  const { bytes, count: gpus, availableBytes } = device
  const of = availableBytes === null ? '' : ` of ${(availableBytes / 1e9).toFixed(0)}`
  return `${(bytes / 1e9).toFixed(0)}${of} GB x ${gpus}`
}

function assumptions({ sections, gpu, training, sampling, start }: Assumed, several: boolean): string {
  const peak = gpu === null ? 'an h100 (no GPU is named: memory is not checked)' : `an ${gpu}`
  const whose = several ? ` of ${sections.join(', ')}` : ''
  return `assumed, not measured${whose}: training sustains ${percent(training)} of the peak of ${peak}, sampling ${percent(sampling)}; ${start} s until a model is read; prompts of 200 tokens, responses as long as they may be`
}

/** `193M`, `1.2k`, `76`. */
export function count(n: number): string {
  const [size, unit] =
    n >= 1e12 ? [1e12, 'T'] : n >= 1e9 ? [1e9, 'B'] : n >= 1e6 ? [1e6, 'M'] : n >= 1e4 ? [1e3, 'k'] : [1, '']
  const scaled = n / size
  return `${scaled >= 100 || Number.isInteger(scaled) ? Math.round(scaled) : scaled.toFixed(1)}${unit}`
}

const large = (bytes: number): string =>
  bytes >= 1e12 ? `${(bytes / 1e12).toFixed(1)} TB` : gigabytes(bytes)
const percent = (share: number): string => `${Math.round(100 * share)}%`

/** The first column to the left, numbers to the right. */
function aligned(table: readonly (readonly string[])[]): string[] {
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)))
  return table.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}
