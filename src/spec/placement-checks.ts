/** Whether the processes of each section's trainings and servers fit the nodes and GPUs of its Slurm jobs. */
import { type Placement, placementFor } from './placement.ts'
import { placedSections, type Section } from './placement-schema.ts'
import { type Path, type Problem, showPath, type Where } from './problem.ts'
import type { ExperimentSpec } from './schema.ts'

type Locate = (path: Path, part?: 'key') => Where

export function placementProblems(spec: ExperimentSpec, where: Locate): Problem[] {
  return placedSections
    .filter((section) => usesTorch(spec, section))
    .flatMap((section): Problem[] => {
      const found = misfit(placementFor(spec, section), section)
      if (found === null) return []
      // Sections without a placement of their own have the same problem, which is told once.
      const path = spec.placement?.[section] === undefined ? ['placement'] : ['placement', section]
      return [
        {
          where: where([...path, ...found.key]),
          message: `${showPath(path)}: ${found.message}`,
          hint: found.hint,
        },
      ]
    })
}

function usesTorch({ bases, organisms }: ExperimentSpec, section: Section): boolean {
  const isTorch = (name: string): boolean => bases[name]?.engine === 'torch'
  if (section === 'evals') return Object.keys(bases).some(isTorch)
  if (section === 'bases') return Object.entries(bases).some(([name, b]) => 'pretrain' in b && isTorch(name))
  const trained = Object.values(organisms).filter(({ base }) => isTorch(base))
  return section === 'techniques' ? trained.length > 0 : trained.some(({ train }) => train !== undefined)
}

interface Misfit {
  readonly key: Path
  readonly message: string
  readonly hint: string
}

/** Processes are spread evenly over nodes, one a GPU; a model that no server of ours splits takes one of them. */
function misfit(
  { torch: { processes, device, sampler }, slurm }: Placement,
  section: Section,
): Misfit | null {
  if (slurm === null) return null
  const samples = section === 'evals'
  // It has its GPUs elsewhere.
  if (samples && sampler !== 'forward' && typeof sampler.server === 'object') return null
  const { nodes, gpus, directives } = slurm
  if (device === 'cuda' && gpus === 0 && !Object.keys(directives).some(bringsGpus)) {
    return {
      key: ['slurm', 'gpus'],
      message: 'torch computes on a GPU (`device: cuda`), and its jobs ask for none',
      hint: '`slurm: { gpus: 8 }` are those of a node; or `torch: { device: cpu }`',
    }
  }
  if (samples ? sampler === 'forward' : processes === 1) return null
  const wrong = (message: string): Misfit => ({
    key: ['torch', 'processes'],
    message,
    hint: `a section may have processes of its own: \`placement.${section}.torch.processes\``,
  })
  if (processes % nodes > 0)
    return wrong(`${processes} processes cannot be spread evenly over ${nodes} nodes`)
  // GPUs that `directives` ask for are not counted here.
  if (device === 'cpu' || gpus === 0 || processes <= nodes * gpus) return null
  return wrong(`${processes} processes, one a GPU, do not fit nodes x gpus = ${nodes} x ${gpus}`)
}

/** `gres`, `gpus-per-node` and their like; whole nodes come with theirs. */
const bringsGpus = (directive: string): boolean => /^(gres|gpu|tres|exclusive)/.test(directive)
