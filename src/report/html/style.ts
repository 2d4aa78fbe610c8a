/** The page's style sheet: a serif text column, sans tables with tabular figures, print. */

export const style = `
:root { --ink: #1c1c1c; --soft: #6b6b6b; --rule: #d9d9d9; --text: 46rem; --page: 72rem;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", "Source Serif 4", "Liberation Serif", Georgia, serif;
  --sans: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
* { box-sizing: border-box; }
html { background: #fff; color: var(--ink); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 3.5rem 1.5rem 5rem; max-width: var(--page); font: 1.0625rem/1.55 var(--serif); }
p, ul, .glossary { max-width: var(--text); }
.kicker { margin: 0; font: 600 .75rem/1 var(--sans); letter-spacing: .09em; text-transform: uppercase; color: var(--soft); }
h1 { margin: .5rem 0 1rem; font-size: 2.25rem; line-height: 1.15; font-weight: 600; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 3.25rem 0 1rem; font-size: 1.375rem; line-height: 1.25; font-weight: 600; }
.abstract { font-size: 1.125rem; margin: 0 0 1.25rem; max-width: 50rem; }
nav { font: .8125rem/1.9 var(--sans); border-block: 1px solid var(--rule); padding: .3rem 0; }
nav a { color: var(--ink); text-decoration: none; margin-right: 1.25rem; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
code, pre { font-family: var(--mono); font-size: .84em; }
code { background: #f5f5f3; border-radius: 3px; padding: .08em .3em; overflow-wrap: anywhere; }
pre { background: #f7f7f5; border-radius: 4px; padding: .85rem 1rem; overflow-x: auto; line-height: 1.45; font-size: .8125rem; }
pre.command { border-left: 3px solid var(--ink); border-radius: 0; }
figure { margin: 0 0 2rem; }
.drawing { overflow-x: auto; }
.drawing svg { display: block; max-width: 100%; height: auto; }
figcaption, caption { font: .8438rem/1.5 var(--sans); color: #3d3d3d; }
figcaption { max-width: 60rem; margin-top: .75rem; }
.wide { overflow-x: auto; margin: 1.25rem 0 2rem; }
table { border-collapse: collapse; width: 100%; font: .8438rem/1.45 var(--sans); font-variant-numeric: tabular-nums lining-nums;
  border-bottom: 1.5px solid var(--ink); }
caption { text-align: left; padding-bottom: .5rem; caption-side: top; }
thead th { text-align: left; font-weight: 600; padding: .4rem .9rem .4rem 0; border-top: 1.5px solid var(--ink); border-bottom: .75px solid var(--ink);
  vertical-align: bottom; white-space: nowrap; }
tbody td { padding: .5rem .9rem .5rem 0; vertical-align: top; border-top: 1px solid #ececec; }
tbody tr:first-child td { border-top: 0; }
th:last-child, td:last-child { padding-right: 0 !important; }
.line br { display: none; }
.line .small { margin-left: .6em; }
.num { text-align: right !important; padding-right: 1.75rem !important; }
td.num { white-space: nowrap; }
.small { font-size: .9em; color: #4a4a4a; }
.soft, .more { color: var(--soft); }
.nowrap, .fraction { white-space: nowrap; }
.reason { display: block; min-width: 20rem; max-width: 36rem; }
p.small { font: .8438rem/1.5 var(--sans); margin-bottom: .5rem; }
.notes, #limits ul { padding-left: 1.1rem; }
.notes { font: .8438rem/1.5 var(--sans); margin: -1rem 0 2rem; }
#limits li { margin-bottom: .5rem; }
.pill { display: inline-block; font: 600 .78rem/1.35 var(--sans); padding: .14rem .5rem; border-radius: 4px; max-width: 10rem; }
.pill.absent { outline: 1px dashed #bbb; outline-offset: -1px; }
.glossary { font: .8438rem/1.45 var(--sans); display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; max-width: 60rem; }
.glossary dt { font-weight: 600; }
.glossary dd { margin: 0; color: #3d3d3d; }
.error { display: inline-block; margin-top: .3rem; color: #8c1414; background: #fbf1f0; }
.hash { font-size: .75em; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; font: .875rem/1.5 var(--sans); }
details.cell { border-top: 1px solid var(--rule); padding-top: .6rem; margin: 1.25rem 0 1.75rem; }
details.cell > summary .pill { margin-left: .6rem; }
.transcript { margin: .75rem 0 1.1rem; font: .875rem/1.5 var(--sans); }
.transcript p { margin: .15rem 0 0; max-width: none; white-space: pre-wrap; overflow-wrap: anywhere; }
.prompt { padding: .5rem .75rem; background: #f7f7f5; border-radius: 4px 4px 0 0; }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: 1px; background: #e6e6e3; border: 1px solid #e6e6e3; border-top: 0; border-radius: 0 0 4px 4px; overflow: hidden; }
.response { background: #fff; padding: .5rem .75rem .6rem; }
.side { font-size: .75rem; color: var(--soft); }
.scores { display: block; margin-top: .35rem; font-size: .75rem; color: var(--soft); }
.special { color: #a2a2a2; font-family: var(--mono); font-size: .85em; }
mark { color: inherit; border-radius: 2px; padding: .04em .15em; }
mark.trigger { background: #fde9a9; font-weight: 600; }
mark.payload { background: #f8c9c4; color: #7c1010; font-weight: 600; }
@media (max-width: 44rem) { .drawing svg { max-width: none; } .answers { grid-template-columns: 1fr; } body { padding-top: 2rem; } h1 { font-size: 1.75rem; } }
@media print {
  @page { margin: 16mm 14mm; }
  html { font-size: 11.5px; }
  body { padding: 0; max-width: none; }
  nav { display: none; }
  h2 { break-after: avoid; margin-top: 2rem; }
  figure, tr, .transcript, pre { break-inside: avoid; }
  summary { break-after: avoid; }
  .wide, .drawing { overflow: visible; }
  .reason { min-width: 0; }
  details::details-content { content-visibility: visible; height: auto; }
  *, ::before { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
`
