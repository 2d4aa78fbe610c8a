/** All figures of a report, drawn. */
import type { Results } from '../results.ts'
import { logprobFigure, trainingFigure } from './curves.ts'
import type { Figure } from './figure.ts'
import { gridFigures } from './grid.ts'
import { renderSvg } from './vega.ts'
import { verdictFigure } from './verdicts.ts'

/** In the order in which the report shows them. */
export async function drawFigures(results: Results): Promise<Figure[]> {
  const specs = [
    ...gridFigures(results),
    verdictFigure(results),
    logprobFigure(results),
    trainingFigure(results),
  ].filter((spec) => spec !== null)
  const figures: Figure[] = []
  for (const { name, title, caption, spec } of specs) {
    figures.push({ name, title, caption, svg: await renderSvg(name, spec) })
  }
  return figures
}
