/** What a training will cost on this machine's CPU: its peak memory, and a rough forecast of its time; never a result. */
import { parameterCount, parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { loraCount, loraSpecs, loraTargetGroups } from '../../model/peft.ts'
import type { Cost, Recipe } from '../engine.ts'
import { optimizerElements } from './optimizer.ts'
import { planPass } from './pass-plan.ts'
import { soapNotes, updateFlops } from './soap-cost.ts'

/** Sustained by two cores of a 2023 server CPU on the demo, padding included (larger models reach more). */
export const FLOPS_PER_SECOND = 100e9

/** The process without any model: Node, the program, the thread of a training. Measured (test/faults/memory.test.ts). */
export const PROCESS_BYTES = 150e6

/**
 * Flops a parameter and token: 2 forward; 2 back to what it reads, also where it is frozen; 2 for its gradient; SOAP's. Peak memory to
 * within 20% (test/faults/memory.test.ts measures it): weights, and for what is trained a gradient and the optimizer's state; activations.
 */
export function trainingCost({
  config,
  recipe,
  contextLength,
}: {
  readonly config: ModelConfig
  readonly recipe: Recipe
  readonly contextLength: number
}): Cost {
  const parameters = parameterCount(config)
  const { batch, steps } = recipe
  const lora = recipe.method === 'lora' ? recipe.lora : null
  const trained = lora === null ? parameters : loraCount(config, lora)
  const frozen = lora === null ? 0 : parameters
  const specs = lora === null ? parameterSpecs(config) : loraSpecs(config, lora)
  const state = optimizerElements(recipe, specs)

  const targets = new Set<string>(lora?.targets)
  const together = loraTargetGroups.map((group) => group.filter((name) => targets.has(name)).length)
  const [qkv = 0, , gateUp = 0] = together
  const keeps = { attentionIn: lora === null || qkv > 0, ffnIn: lora === null || gateUp > 0 }
  const rank = (lora?.rank ?? 0) * Math.max(...together)
  const { packs, recompute, activationBytes } = planPass(config, {
    batch,
    contextLength,
    rank,
    keeps,
  })
  // Gradients of looked-up embeddings wait until the last packs are through.
  const waiting = lora === null && packs < batch ? batch * contextLength * config.hiddenSize : 0

  const tokens = batch * contextLength * steps
  const soap = recipe.optimizer === 'soap' ? recipe : null
  const updates = soap === null ? 0 : steps * specs.reduce((sum, spec) => sum + updateFlops(spec, soap), 0)
  const flops = ((recompute ? 8 : 6) * trained + (recompute ? 6 : 4) * frozen) * tokens + updates
  return {
    parameters,
    trained,
    tokens,
    flops,
    seconds: flops / FLOPS_PER_SECOND,
    memoryBytes: PROCESS_BYTES + 4 * (frozen + 2 * trained + state + waiting) + activationBytes,
    disk: { weights: 4 * trained, state: 4 * state },
    keepsStates: 'all',
    notes: soap === null ? [] : soapNotes(specs, soap),
  }
}
