"""The style sheet of a feedback page: phone to print, light and dark; no rule names a file or a font from elsewhere."""

STYLE = """\
:root { color-scheme: light dark; --text: #1a1d21; --soft: #555b63; --page: #ffffff; --panel: #f4f5f7; --line: #c9cdd3;
  --good: #1d6b36; --bad: #a8321a; --wait: #7a5200; --link: #1a5c9c; --bar: #2f7d4a; --rest: #d9dce1;
  --word: #6a2c91; --name: #14528f; --text-in-code: #1d6b36; --number: #8a4b00; --note: #5c636b }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #aab1ba; --page: #16181c; --panel: #22262c;
  --line: #474d56; --good: #7fd096; --bad: #ff9d85; --wait: #e9bd62; --link: #8dc1f2; --bar: #5fb37c; --rest: #3a4048;
  --word: #d3a6f0; --name: #8dc1f2; --text-in-code: #9ad7a8; --number: #f0b27a; --note: #a3abb5 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 52rem; padding: 1rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--page); overflow-wrap: anywhere }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -99rem }
.skip:focus { left: 1rem; background: var(--page); padding: .5rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 .2rem }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0; flex: 1 1 14rem }
h3 { font-size: 1rem; margin: 1rem 0 .3rem }
p, ul { margin: .5rem 0 }
.soft { color: var(--soft) }
.total { font-size: 1.2rem; margin: 1rem 0 .3rem }
.total strong { font-size: 2rem }
.bar { display: block; width: 100%; height: .7rem; border-radius: .35rem; margin: 0 0 1rem }
.bar .got { fill: var(--bar) }
.bar .all { fill: var(--rest) }
.bar .open { fill: var(--wait) }
.notes { padding-left: 1.2rem }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1rem }
.head { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline }
.points { font-weight: 600; white-space: nowrap; margin: 0 }
.good { color: var(--good) }
.bad { color: var(--bad) }
.wait { color: var(--wait) }
.checks { list-style: none; padding: 0 }
.checks > li { padding: .35rem 0 .35rem 1.7rem; position: relative }
.checks .mark { position: absolute; left: .2rem; font-weight: 700 }
.checks p { margin: .1rem 0 }
.name { font-weight: 600 }
.hint { max-width: 42rem }
.error { color: var(--bad) }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.comment { border-left: 4px solid var(--link); background: var(--panel); margin: 1rem 0; padding: .4rem 1rem }
.comment h3 { margin: .3rem 0 }
details { margin: .8rem 0 }
summary { cursor: pointer; color: var(--link); padding: .3rem 0; font-weight: 600 }
pre { font: .875rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0;
  padding: .6rem .8rem; background: var(--panel); border-radius: .3rem; tab-size: 4 }
pre.said { background: none; border-left: 3px solid var(--line); border-radius: 0 }
pre.error { border-left-color: var(--bad) }
code { font-family: ui-monospace, monospace; font-size: .92em }
pre code { font-size: inherit }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .92rem; overflow-wrap: normal }
caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line) }
.overview { width: 100% }
.overview th { font-weight: 400; overflow-wrap: anywhere }
.overview thead th { font-weight: 600 }
.overview .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
figure { margin: .8rem 0 }
img { max-width: min(100%, 40rem); height: auto; background: #ffffff }
.k, .kc, .kd, .kn, .kr, .ow { color: var(--word) }
.nf, .nc, .fm, .nd, .nb, .bp { color: var(--name) }
.s, .s1, .s2, .sa, .sb, .sc, .sd, .se, .sf, .sh, .si, .sr, .ss, .dl { color: var(--text-in-code) }
.m, .mb, .mf, .mh, .mi, .mo, .il { color: var(--number) }
.c, .c1, .cm, .ch, .cp { color: var(--note); font-style: italic }
@media (max-width: 30rem) { .overview td, .overview th { padding-right: .5rem } }
@media print {
  :root { color-scheme: light; --text: #000; --soft: #333; --page: #fff; --panel: #f2f2f2; --line: #999; --good: #000;
    --bad: #000; --wait: #000; --link: #000; --bar: #444; --rest: #ddd; --word: #000; --name: #000;
    --text-in-code: #222; --number: #000; --note: #444 }
  body { max-width: none; padding: 0; font-size: 10pt }
  .skip { display: none }
  details::details-content { content-visibility: visible; display: block; height: auto }
  .wide { overflow: visible }
  li, tr, img, .comment { break-inside: avoid }
  .head, h3, summary { break-after: avoid }
}
"""
