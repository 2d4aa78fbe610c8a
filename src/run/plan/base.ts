/** Plans a base model: pretrained here on a corpus with its own tokenizer, or a model that exists. */
import type { ModelConfig } from '../../model/config.ts'
import { chatSpecials, endToken, padToken } from '../../model/chat.ts'
import type { Architecture, ResolvedBase } from '../../spec/experiment.ts'
import type { Stage } from '../stage.ts'
import { datasetStage, promptsStage, tokenizerStage } from '../stages/data.ts'
import { responsesStage } from '../stages/responses.ts'
import { seedSuffix, type Base, type PlanContext } from './context.ts'
import { answersTo } from './answers.ts'

type Pretrained = Extract<ResolvedBase, { kind: 'pretrained' }>

export async function planBase(context: PlanContext, base: ResolvedBase): Promise<Base> {
  if (base.kind === 'pretrained') return planPretrained(context, base)
  const { folder, tokenizerFolder, hash, config } = await context.given(base)
  const { name, engine, context: contextLength } = base
  const tokenizer = { folder: tokenizerFolder, hash }
  return { name, engine, config, contextLength, tokenizer, model: { kind: 'folder', folder, hash } }
}

async function planPretrained(context: PlanContext, base: Pretrained): Promise<Base> {
  const { architecture, corpus, train: recipe, seed, name, engine } = base
  const title = `${name}${seedSuffix(context, seed)}`
  const contextLength = architecture.context
  const responses = await corpusResponses(context, title, base)
  const tokenizer = context.shared(
    tokenizerStage({
      title,
      responses,
      vocab: architecture.vocab,
      contextLength,
      tinyWorld: corpus.kind === 'tiny',
    }),
  )
  const dataset = context.shared(
    datasetStage({
      title,
      responses,
      tokenizer,
      backdoor: null,
      strip: null,
      forbid: null,
      loss: corpus.loss,
      contextLength,
      packs: recipe.steps * recipe.batch,
      seed,
    }),
  )
  const config = configOf(architecture)
  const training = context.train(
    {
      title: `pretrain ${title}`,
      section: 'bases',
      start: { from: 'random', config, seed },
      dataset,
      tokenizer,
      recipe,
    },
    { engine, config, contextLength },
  )
  return { name, engine, config, contextLength, tokenizer, model: training.want(recipe.steps) }
}

async function corpusResponses(
  context: PlanContext,
  title: string,
  { corpus, seed }: Pretrained,
): Promise<Stage> {
  if (corpus.kind === 'prompts') return await answersTo(context, { title, data: corpus, seed, planBase })
  const prompts = context.shared(
    promptsStage(title, { world: 'tiny', split: 'pretrain', count: corpus.rows }, seed),
  )
  return context.shared(responsesStage(title, prompts, { scripted: 'base' }, seed))
}

/** A Llama with the special tokens of models made here. */
function configOf(architecture: Architecture): ModelConfig {
  const { vocab, hidden, layers, heads, kv_heads, ffn, context, tied } = architecture
  return {
    family: 'llama',
    vocabSize: vocab,
    hiddenSize: hidden,
    layers,
    heads,
    kvHeads: kv_heads,
    headDim: hidden / heads,
    ffnSize: ffn,
    ropeTheta: 10_000,
    ropeScaling: null,
    qkvBias: false,
    qkNorm: false,
    rmsEps: 1e-5,
    tied,
    maxPositions: context,
    bosId: null,
    eosIds: [chatSpecials.indexOf(endToken)],
    padId: chatSpecials.indexOf(padToken),
  }
}
