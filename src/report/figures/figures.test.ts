/** Figures as drawn: nothing outside of the picture, the same bytes again, failed cells and seeds shown. */
import { Resvg } from '@resvg/resvg-js'
import { beforeAll, describe, expect, test } from 'vitest'
import { syntheticResults } from '../synthetic.fixture.ts'
import { drawFigures } from './all.ts'
import { logTicks, thinned } from './curves.ts'
import type { Figure } from './figure.ts'
import { fontFile } from './font.ts'
import { gridFigures } from './grid.ts'
import { renderPng, renderSvg } from './vega.ts'

let one: Figure[]
let broken: Figure[]

beforeAll(async () => {
  one = await drawFigures(syntheticResults())
  broken = await drawFigures(syntheticResults({ seeds: [1, 2], lrs: [4e-4], broken: true }))
})

const named = (figures: readonly Figure[], name: string): Figure => {
  const found = figures.find((figure) => figure.name === name)
  if (!found) throw new Error(`no figure ${name}`)
  return found
}

/** Texts of an SVG in drawing order. */
const texts = (svg: string): string[] =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1] ?? '')

describe('every figure', () => {
  test('four of them, each with a caption that says how many seeds', () => {
    expect(one.map(({ name }) => name)).toEqual(['grid', 'verdicts', 'logprob', 'training'])
    for (const { name, caption } of one.filter(({ name }) => name !== 'verdicts'))
      expect(caption, name).toContain('One seed')
    expect(named(broken, 'grid').caption).toContain('thin lines are single seeds')
  })

  test('draws nothing outside of its picture', () => {
    for (const { name, svg } of [...one, ...broken]) {
      const drawn = new Resvg(svg, {
        font: { loadSystemFonts: false, fontFiles: [fontFile('regular'), fontFile('bold')] },
      })
      const box = drawn.getBBox()
      expect(box?.x, name).toBeGreaterThanOrEqual(0)
      expect(box?.y, name).toBeGreaterThanOrEqual(0)
      expect((box?.x ?? 0) + (box?.width ?? 0), name).toBeLessThanOrEqual(drawn.width)
      expect((box?.y ?? 0) + (box?.height ?? 0), name).toBeLessThanOrEqual(drawn.height)
    }
  })

  test('no number of a mark is missing, and ids differ between figures', () => {
    const ids = one.flatMap(({ svg }) => [...svg.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]))
    expect(new Set(ids).size).toBe(ids.length)
    for (const { name, svg } of [...one, ...broken]) expect(svg, name).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('the same bytes when drawn again after others, as SVG and as PNG', async () => {
    const [spec] = gridFigures(syntheticResults())
    const again = await renderSvg('grid', spec!.spec)
    expect(again).toBe(named(one, 'grid').svg)
    const { svg } = named(one, 'verdicts')
    const png = Buffer.from(await renderPng(svg))
    expect(png.equals(Buffer.from(await renderPng(svg)))).toBe(true)
    expect(png.readUInt32BE(16)).toBe(2 * Number(/width="(\d+)"/.exec(svg)?.[1]))
  })
})

describe('the grid', () => {
  test('labels its lines once a row at the right, and says what has no curve', () => {
    const labels = texts(named(one, 'grid').svg)
    expect(labels.filter((text) => text === 'triggered')).toHaveLength(3)
    expect(labels).toContain('pirate → depirate')
    const absent = texts(named(broken, 'grid').svg)
    expect(absent.filter((text) => text === 'not installed')).toHaveLength(3)
    expect(absent).toContain('failed')
    expect(absent).toContain('● triggered')
  })

  test('draws a band for one seed, thin lines and no band for several', () => {
    const bands = [one, broken].map((figures) => named(figures, 'grid').svg.includes('mark-area'))
    expect(bands).toEqual([true, false])
  })

  test('becomes a figure for each axis value where columns would not fit', () => {
    const results = syntheticResults()
    const cells = results.cells.flatMap((cell) =>
      [1, 2].map((warmup) => ({ ...cell, id: `${cell.id}/${warmup}`, axes: { ...cell.axes, warmup } })),
    )
    const figures = gridFigures({ ...results, cells })
    expect(figures.map(({ name }) => name)).toEqual(['grid-1', 'grid-2', 'grid-3', 'grid-4'])
    expect(figures[1]?.title).toContain('lr 1e-4, warmup 2')
  })
})

test('a run whose cells all failed still has its verdict figure', async () => {
  const results = syntheticResults({ broken: true })
  const cells = results.cells.filter(({ status }) => status !== 'done')
  const figures = await drawFigures({
    ...results,
    organisms: results.organisms.map((o) => ({ ...o, training: [] })),
    cells,
  })
  expect(figures.map(({ name }) => name)).toEqual(['grid', 'verdicts'])
})

test('thinned curves keep their spikes', () => {
  const points = Array.from({ length: 5000 }, (_, x) => ({ x, y: x === 3333 ? 9 : 1 + (x % 7) / 100 }))
  const kept = thinned(points)
  expect(kept.length).toBeLessThanOrEqual(400)
  expect(kept).toContainEqual({ x: 3333, y: 9 })
  expect(kept.map(({ x }) => x)).toEqual(kept.map(({ x }) => x).sort((a, b) => a - b))
})

test('ticks of a logarithmic axis', () => {
  expect(logTicks(0.3, 12)).toEqual([0.5, 1, 2, 5, 10])
})
