/** Vega-Lite specification → SVG → PNG, byte-identical on every machine; Vega is loaded on first use. */
import type { TopLevelSpec } from 'vega-lite'
import { FONT_FAMILY, fontFile, textWidth } from './font.ts'

/** Pixels of the PNG for one of the SVG. */
const PNG_SCALE = 2

interface MeasuredText {
  readonly fontSize?: number
  readonly fontWeight?: string | number
}

function measuredWidth(item: MeasuredText, text: string | number | null | undefined): number {
  const bold = item.fontWeight === 'bold' || Number(item.fontWeight) >= 600
  return textWidth(String(text ?? ''), item.fontSize ?? 11, bold ? 'bold' : 'regular')
}

/** Vega and Vega-Lite, with text measured in the shipped font instead of a canvas that some machines have. */
async function loadVega() {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')])
  // Exported by vega, missing from its types.
  Object.assign((vega as unknown as { textMetrics: object }).textMetrics, { width: measuredWidth })
  return { vega, vegaLite }
}

let loading: ReturnType<typeof loadVega> | undefined

/** Renders a specification. `name` prefixes the ids inside, so that several SVGs fit into one page. */
export async function renderSvg(name: string, spec: TopLevelSpec): Promise<string> {
  loading ??= loadVega()
  const { vega, vegaLite } = await loading
  const compiled = vegaLite.compile(spec, { config: { font: FONT_FAMILY, ...spec.config } })
  const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return renumberIds(name, svg)
}

/** Vega counts its clip paths over the whole process; here they count from 1 in each figure. */
function renumberIds(name: string, svg: string): string {
  const names = new Map<string, string>()
  return svg.replaceAll(/( id="|url\(#)((?:clip|gradient_)\d+)/g, (_, before: string, id: string) => {
    const known = names.get(id) ?? `${name}-${names.size + 1}`
    names.set(id, known)
    return before + known
  })
}

/** Draws an SVG with the shipped font alone; never asks the system for one. */
export async function renderPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js')
  const [family] = FONT_FAMILY.split(',')
  const image = new Resvg(svg, {
    background: '#ffffff',
    fitTo: { mode: 'zoom', value: PNG_SCALE },
    font: {
      loadSystemFonts: false,
      fontFiles: [fontFile('regular'), fontFile('bold')],
      defaultFontFamily: family ?? '',
      sansSerifFamily: family ?? '',
    },
  })
  return image.render().asPng()
}
