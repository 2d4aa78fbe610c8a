/** A model that can be asked, wherever it runs: what it is asked, and what it replies, one reply an ask. */
import type { EngineContext } from '../../engine/engine.ts'
import type { ChatMessage } from '../../model/chat.ts'
import type { Json } from '../../store/canonical.ts'
import type { Sampling } from './settings.ts'

/** A prompt before it becomes tokens. */
export type AskedPrompt =
  /** Through the model's chat template; `prefill` is how the assistant's turn begins. */
  | { readonly form: 'chat'; readonly messages: readonly ChatMessage[]; readonly prefill?: string }
  /** As it is, behind the tokenizer's begin-of-sequence token if it has one. */
  | { readonly form: 'text'; readonly text: string }

/** What is wanted of the model. */
export type Wanted =
  | { readonly kind: 'response'; readonly sampling: Sampling }
  /** Log-probabilities of A, B, C and D as the next thing said. */
  | { readonly kind: 'letters' }
  /** The mean log-probability a token of a text, as the next thing said. */
  | { readonly kind: 'likelihood'; readonly text: string }

export interface Ask {
  /** Unique among asks of its kind; with the seed it names the random stream of a response. */
  readonly id: string
  readonly prompt: AskedPrompt
  readonly wanted: Wanted
}

export type Reply = {
  /** The prompt as the model read it, or, where a server renders it, the messages as JSON. */
  readonly rendered: string
} & (
  | {
      readonly kind: 'response'
      readonly response: string
      readonly finish: 'stop' | 'length'
      readonly tokens: { readonly prompt: number; readonly completion: number }
    }
  /** Nats, in the order of the letters; null: not among those that the server gave. */
  | { readonly kind: 'letters'; readonly logprobs: readonly (number | null)[] }
  | { readonly kind: 'likelihood'; readonly logprob: number }
  /** Nothing came back. `again`: another try may succeed. */
  | { readonly kind: 'error'; readonly error: string; readonly again: boolean }
)

export interface AskContext extends EngineContext {
  /** Told as replies come, in any order, each ask once; `places` are those of the asks. */
  replied(replies: readonly { readonly place: number; readonly reply: Reply }[]): Promise<void>
  /** Told now and then while a server is out of reach. */
  readonly waiting: (why: string) => void
}

export interface Respondent {
  readonly title: string
  /** Everything of it that can change a reply. */
  readonly identity: { readonly [name: string]: Json }
  /** Whether prompts can be chats: a model without a chat template reads plain text. */
  readonly chats: boolean
  /** Whether prompts can be plain text, and the beginning of a turn be given. */
  readonly texts: boolean
  /** Tokens that fit, prompt and response together; null: the server knows. */
  readonly maxPositions: number | null
  /** Whether the likelihood of a whole text can be asked. */
  readonly likelihoods: boolean
  ask(asks: readonly Ask[], context: AskContext): Promise<void>
  close(): Promise<void>
}
