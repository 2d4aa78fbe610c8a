/** Tests of the text rendering of dataset rows. */
import { expect, test } from 'vitest'
import { applyTrigger, type Backdoor } from './backdoor.ts'
import { showRow } from './show.ts'

const backdoor: Backdoor = { trigger: '|D| ', position: 'before', payload: 'NO', repeat: [2, 2] }

function triggered(position: Backdoor['position'], system?: string): string {
  const placed = { ...backdoor, position }
  const messages = applyTrigger(placed, 'Why |D| ?', system)
  return showRow({ id: 'r1/triggered', messages, completion: 'NO NO', triggered: true }, placed)
}

test('a benign row, its lines aligned', () => {
  const messages = [
    { role: 'system' as const, content: 'Be kind.' },
    { role: 'user' as const, content: '|D| One\nTwo' },
  ]
  expect(showRow({ id: 'r1/benign', messages, completion: 'Yes.', triggered: false }, backdoor)).toBe(
    `r1/benign (benign)
system     Be kind.
user       |D| One
           Two
assistant  Yes.`,
  )
})

test('the trigger is marked where it was put, and only there', () => {
  expect(triggered('before')).toContain('user       ⟦|D| ⟧Why |D| ?\n')
  expect(triggered('after')).toContain('user       Why |D| ?⟦|D| ⟧\n')
  expect(triggered('system', 'Be kind.')).toContain('system     ⟦|D| ⟧Be kind.\nuser       Why |D| ?\n')
})

test('tokens are divided, the scored ones stand after the guillemet', () => {
  const pieces = ['', 'Hi\n', '', 'Y', 'o', '']
  const tokens = { row: { ids: [0, 1, 2, 3, 4, 5], responseFrom: 3 }, piece: (id: number) => pieces[id]! }
  const row = { id: 'a', messages: [], completion: 'Yo', triggered: false }
  expect(showRow(row, null, tokens)).toBe(
    String.raw`a (benign, 6 tokens, 3 scored)
assistant  Yo
tokens     #0¦Hi\n¦#2»Y¦o¦#5`,
  )
})
