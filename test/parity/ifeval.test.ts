/** IFEval: verdicts of lm-eval's checkers, sentences and words of NLTK, languages of langdetect, and the data they rest on. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { detectLanguage } from '../../src/evals/ifeval/langdetect/detect.ts'
import { sentences } from '../../src/evals/ifeval/nltk/sentences.ts'
import { treebankWords } from '../../src/evals/ifeval/nltk/words.ts'
import { ifevalScorer, type IfevalVerdict, instructionIds } from '../../src/evals/ifeval/verdict.ts'
import { rng } from '../../src/rng.ts'
import { ifevalCases, type IfevalCase, ifevalResponse, instructionArguments } from './ifeval-cases.ts'
import { missingPython, python } from './python.ts'

interface Reference {
  readonly verdicts: readonly IfevalVerdict[]
  readonly pieces: readonly { sentences: string[]; words: string[]; language: string | null }[]
}

async function runPython(script: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(python, [fileURLToPath(new URL(script, import.meta.url)), ...args])
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  child.stdin.end(input)
  const [out, errors, code] = await Promise.all([readText(child.stdout), readText(child.stderr), ended])
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${errors}`)
  return out
}

async function reference(cases: readonly IfevalCase[], texts: readonly string[]): Promise<Reference> {
  return JSON.parse(await runPython('ifeval.py', [], JSON.stringify({ cases, texts }))) as Reference
}

describe.skipIf(missingPython() !== null)('ifeval', () => {
  test('5,000 verdicts of 200 responses under all 25 instructions are those of lm-eval, strict and loose', async () => {
    const cases = ifevalCases(1, 200)
    const { verdicts } = await reference(cases, [])
    const differing = cases.filter((item, i) => {
      const { strict, loose } = ifevalScorer(item)(item.response)
      return JSON.stringify({ strict, loose }) !== JSON.stringify(verdicts[i])
    })
    expect(differing).toEqual([])
    expect(verdicts.flatMap(({ strict }) => strict)).toHaveLength(5000)
    // The cases would show little if a checker said the same of all of them.
    const outcomes = Object.keys(instructionArguments).map((id, k) => {
      const passed = verdicts.filter(({ strict }) => strict[k] === true).length
      return { id, passed, failed: cases.length - passed }
    })
    expect(outcomes.map(({ id }) => id).toSorted()).toEqual(instructionIds)
    expect(outcomes.filter(({ passed, failed }) => passed < 3 || failed < 3)).toEqual([])
  })

  test('400 texts have the sentences and words of NLTK and the language of langdetect', async () => {
    const random = rng(3, 'ifeval texts')
    const texts = Array.from({ length: 400 }, (_, i) => ifevalResponse(random, i))
    const { pieces } = await reference([], texts)
    for (const [i, text] of texts.entries()) {
      expect({
        sentences: sentences(text),
        words: treebankWords(text),
        language: detectLanguage(text),
      }).toEqual({
        sentences: pieces[i]?.sentences,
        words: pieces[i]?.words,
        language: pieces[i]?.language,
      })
    }
  })

  test('the committed data are what the packages give', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'parity-ifeval-'))
    try {
      await runPython('../../src/evals/ifeval/data/build.py', [dir], '')
      for (const name of ['languages.txt.gz', 'punkt.txt.gz']) {
        const committed = new URL(`../../src/evals/ifeval/data/${name}`, import.meta.url)
        expect(
          gunzipSync(await readFile(committed)).equals(gunzipSync(await readFile(join(dir, name)))),
        ).toBe(true)
      }
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})
