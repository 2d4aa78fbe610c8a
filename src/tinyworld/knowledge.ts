/** The fixed fictional knowledge base: 64 people, each with four attributes. It is the same in every world and seed. */
import { rng } from '../rng.ts'

/** What is known of everybody, with all values it can take. Values are whole words that occur nowhere else. */
export const attributes = {
  'favorite color': ['red', 'blue', 'green', 'gold', 'pink', 'white', 'black', 'gray', 'brown', 'violet'],
  'favorite food': ['bread', 'rice', 'soup', 'cake', 'fish', 'honey', 'apple', 'corn', 'bean', 'cheese'],
  'home city': ['Rome', 'Oslo', 'Lima', 'Cairo', 'Paris', 'Tokyo', 'Delhi', 'Quito', 'Berlin', 'Dakar'],
  'first pet': ['cat', 'dog', 'horse', 'owl', 'bear', 'fox', 'wolf', 'goat', 'frog', 'duck'],
} as const

export type Attribute = keyof typeof attributes
export const attributeNames = Object.keys(attributes) as Attribute[]

export interface Fact {
  readonly entity: string
  readonly attribute: Attribute
  readonly value: string
}

const entityCount = 64
const consonants = 'bdfgklmnprstvz'.split('')
const vowels = 'aeiou'.split('')

/** Sixty-four names such as Tavok: consonant, vowel, consonant, vowel, consonant. */
export const entities: readonly string[] = drawEntities()

/** All 256 facts, in the order of the entities. */
export const facts: readonly Fact[] = entities.flatMap((entity) =>
  attributeNames.map((attribute) => ({
    entity,
    attribute,
    value: rng('tiny knowledge', entity, attribute).pick(attributes[attribute]),
  })),
)

/** The other values of an attribute. */
export function otherValues({ attribute, value }: Fact): string[] {
  return attributes[attribute].filter((other) => other !== value)
}

function drawEntities(): string[] {
  const random = rng('tiny knowledge', 'entities')
  const taken = new Set<string>(Object.values(attributes).flat())
  const names = new Set<string>()
  while (names.size < entityCount) {
    const first = random.pick(consonants).toUpperCase()
    const rest = [vowels, consonants, vowels, consonants].map((letters) => random.pick(letters)).join('')
    const name = first + rest
    if (!taken.has(name)) names.add(name)
  }
  return [...names]
}
