"""The report's style sheet: two colour schemes, phone to print; no rule names a file or a font from elsewhere."""

STYLE = """\
:root { color-scheme: light dark; --text: #1a1d21; --soft: #555b63; --page: #ffffff; --panel: #f3f4f6; --line: #c9cdd3;
  --bar: #2a6fad; --band: #dbe6f1; --mark: #b34700; --link: #1a5c9c }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #aab1ba; --page: #16181c; --panel: #22262c;
  --line: #474d56; --bar: #5ea4e0; --band: #26374a; --mark: #f0a060; --link: #8dc1f2 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page); overflow-wrap: anywhere }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line) }
p, ul { max-width: 42rem; margin: .6rem 0 }
ul { padding-left: 1.2rem }
li { margin: .2rem 0 }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none }
.skip { position: absolute; left: -99rem }
.skip:focus { left: 1rem; background: var(--page); padding: .5rem }
.soft { color: var(--soft) }
.pair { display: flex; flex-wrap: wrap; gap: 0 2rem }
.pair > ul { flex: 1 1 18rem; min-width: 0 }
figure { margin: 1rem 0; flex: 1 1 20rem; max-width: 30rem; min-width: 0 }
figcaption { font-weight: 600; margin-bottom: .4rem }
.plot { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: var(--text) }
.plot .mid { text-anchor: middle }
.plot .end { text-anchor: end }
.plot .over { paint-order: stroke; stroke: var(--page); stroke-width: 3px }
.bar { fill: var(--bar) }
.bar.soft { opacity: .55 }
.rest { fill: var(--panel); stroke: var(--line) }
.band { fill: var(--band) }
.grid { stroke: var(--line); stroke-width: .6; fill: none }
.axis { stroke: var(--soft); stroke-width: 1; fill: none }
.line { stroke: var(--mark); stroke-width: 1.6; fill: none }
.spark { vertical-align: middle }
details { margin: .5rem 0 }
summary { cursor: pointer; color: var(--link); padding: .2rem 0 }
.wide { overflow-x: auto; margin: .5rem 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem }
mark { background: var(--band); color: inherit; font-weight: 600 }
table { border-collapse: collapse; font-size: .92rem; overflow-wrap: normal }
table { min-width: min(100%, 22rem) }
caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line) }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
tbody th.name { min-width: 7rem }
td.text { min-width: 14rem; overflow-wrap: anywhere }
.tag { border: 1px solid var(--mark); color: var(--mark); border-radius: 3px; padding: 0 .3rem; font-size: .85rem;
  white-space: nowrap }
@media (max-width: 40rem) { table { width: max-content; max-width: 44rem } }
@media print {
  :root { color-scheme: light; --text: #000; --soft: #333; --page: #fff; --panel: #eee; --line: #999; --bar: #444;
    --band: #ddd; --mark: #000; --link: #000 }
  body { max-width: none; padding: 0; font-size: 10pt }
  nav, .skip, summary { display: none }
  details::details-content { content-visibility: visible; display: block; height: auto }
  .wide { overflow: visible }
  figure, tr { break-inside: avoid }
  h2 { break-after: avoid }
}
"""
