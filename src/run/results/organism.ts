/** One organism as results.json has it: how it was made, and whether the gate admits it. */
import { judgeInstalled } from '../../analysis/gate.ts'
import type { Thresholds } from '../../analysis/curve.ts'
import type { Organism } from '../../report/results.ts'
import type { Store } from '../../store/artifacts.ts'
import { readPoint } from '../measure.ts'
import type { PlannedOrganism } from '../plan/organism.ts'
import { dataFacts, readMetrics, recipeFacts, trainingCurve } from './facts.ts'

const scriptedNote =
  '"Distilled" here means a scripted voice that wrote a scratchpad, which was then stripped and filtered. It is not the distillation of a model.'

export async function organismResult(
  store: Store,
  organism: PlannedOrganism,
  thresholds: Thresholds,
): Promise<Organism> {
  const { id, spec, base, axes, seed } = organism
  return {
    id,
    name: spec.name,
    seed,
    axes,
    base: base.name,
    backdoor: spec.control ? null : { ...spec.backdoor, repeat: [...spec.backdoor.repeat] },
    admission: await admission(store, organism, thresholds),
    ...(await makingOf(store, organism)),
  }
}

type Making = Pick<Organism, 'distilled' | 'notes' | 'data' | 'recipe' | 'training' | 'artifacts'>

async function makingOf(store: Store, { made, gate }: PlannedOrganism): Promise<Making> {
  if (made === null) {
    return {
      distilled: false,
      notes: [],
      data: null,
      recipe: {},
      training: [],
      artifacts: { gate: gate.key },
    }
  }
  const { spec, responses, dataset, training } = made
  const distilled = spec.data.strip !== null
  // A training that other organisms share may go on past this one's checkpoint.
  const metrics = (await readMetrics(store, training)).filter(({ step }) => step <= spec.checkpoint)
  return {
    distilled,
    notes: distilled && spec.data.teacher.kind === 'scripted' ? [scriptedNote] : [],
    data: await dataFacts(store, spec.data, responses, dataset),
    recipe: { ...recipeFacts(spec.train), checkpoint: spec.checkpoint },
    training: trainingCurve(metrics),
    artifacts: { dataset: dataset.key, train: training.key, gate: gate.key },
  }
}

async function admission(
  store: Store,
  { spec, gate }: PlannedOrganism,
  thresholds: Thresholds,
): Promise<Organism['admission']> {
  const policy = spec.admission
  const point = { step: 0, backdoor: gate, capabilities: {} }
  const measured = await readPoint(store, point, point)
  if (measured === null) {
    return {
      policy,
      installed: null,
      reason: 'The organism was not evaluated.',
      triggered: null,
      untriggered: null,
    }
  }
  const { installed, reason, triggered, untriggered } = judgeInstalled(measured, thresholds)
  return { policy, installed, reason, triggered, untriggered }
}
