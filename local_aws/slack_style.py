"""The look of the page at ``/slack/``, in light and in dark."""

STYLE = """
:root {
  --ground: #fff; --text: #1d1c1d; --quiet: #616061; --line: #e2e1e3; --soft: #f6f5f7; --side: #f2eef4;
  --link: #1264a3; --code: #b3123f; --call: #fbe8b3; --call-text: #5c4300; --accent: #611f69; --go: #007a5a;
  --stop: #d0134a; --hit: #fff6d9; --picked: #611f69;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #1a1d21; --text: #e4e3e5; --quiet: #a3a2a6; --line: #35373b; --soft: #222529; --side: #15171a;
    --link: #6cb7f2; --code: #f28aa0; --call: #5b4700; --call-text: #ffe7a3; --accent: #cf9bd8; --go: #148567;
    --stop: #c92a55; --hit: #33301f; --picked: #5b3363;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; display: grid; grid-template-columns: 15rem minmax(0, 1fr); min-height: 100vh;
  background: var(--ground); color: var(--text); font: 15px/1.47 system-ui, "Segoe UI", Roboto, sans-serif;
}
a { color: var(--link); text-decoration: none; overflow-wrap: anywhere; }
a:hover { text-decoration: underline; }
small, time { color: var(--quiet); font-size: 12px; font-weight: 400; }
nav {
  position: sticky; top: 0; align-self: start; height: 100vh; overflow-y: auto; padding: 1rem .75rem;
  background: var(--side); border-right: 1px solid var(--line);
}
nav h1 { font-size: 17px; margin: 0 .5rem 1rem; color: var(--accent); }
nav a {
  display: flex; justify-content: space-between; align-items: center; gap: .5rem; padding: .3rem .5rem;
  border-radius: 6px; color: var(--text);
}
nav a[aria-current] { background: var(--picked); color: #fff; font-weight: 600; }
nav a[aria-current] small { color: inherit; }
nav p { margin: 1.5rem .5rem 0; color: var(--quiet); font-size: 12px; }
main { padding: 0 1.5rem 3rem; max-width: 62rem; }
h2 {
  position: sticky; top: 0; z-index: 1; margin: 0 0 .5rem; padding: .8rem 0; font-size: 18px;
  background: var(--ground); border-bottom: 1px solid var(--line);
}
h2 small { margin-left: .75rem; }
.empty { color: var(--quiet); }
article { padding: .75rem; border-radius: 8px; scroll-margin-top: 4rem; }
section > article + article { border-top: 1px solid var(--line); border-radius: 0; }
article:target { background: var(--hit); }
article header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .4rem; }
.app {
  padding: 0 .25rem; border-radius: 3px; background: var(--line); color: var(--quiet);
  font-size: 10px; font-weight: 700;
}
article p, .line { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
h3 { margin: .35rem 0; font-size: 18px; line-height: 1.33; overflow-wrap: anywhere; }
hr { border: 0; border-top: 1px solid var(--line); margin: .6rem 0; }
code, pre {
  font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; background: var(--soft);
  border: 1px solid var(--line); border-radius: 4px;
}
code { padding: .1em .25em; color: var(--code); }
pre { margin: .3rem 0; padding: .5rem .65rem; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { padding: 0 .15em; border-radius: 3px; background: var(--call); color: var(--call-text); font-weight: 600; }
.section { display: flex; gap: 1rem; align-items: flex-start; }
.section > div { flex: 1; min-width: 0; }
.fields { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .3rem 1.5rem; margin: .3rem 0; }
.context { display: flex; flex-wrap: wrap; gap: 0 .7rem; color: var(--quiet); font-size: 13px; }
article .actions { display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; }
.button {
  flex: none; display: inline-block; padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--ground); color: var(--text); font-size: 14px; font-weight: 600;
}
.button.primary { background: var(--go); border-color: var(--go); color: #fff; }
.button.danger { background: var(--stop); border-color: var(--stop); color: #fff; }
.button.idle { opacity: .75; border-style: dashed; cursor: not-allowed; }
.attachment { margin: .4rem 0; padding: .1rem 0 .1rem .8rem; border-left: 4px solid; border-radius: 3px; }
.table { overflow-x: auto; margin: .4rem 0; }
table { border-collapse: collapse; font-size: 13.5px; }
td {
  padding: .3rem .65rem; border: 1px solid var(--line); vertical-align: top; max-width: 22rem; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis;
}
td.wrapped { white-space: pre-wrap; overflow-wrap: anywhere; }
td.center { text-align: center; }
td.right { text-align: right; font-variant-numeric: tabular-nums; }
tr:first-child td { background: var(--soft); font-weight: 600; }
article .detail { margin: .1rem 0; color: var(--quiet); font-size: 12px; }
.detail b { font-weight: 600; margin-right: .25rem; }
.thread { margin: .4rem 0 0 .25rem; padding-left: 1rem; border-left: 2px solid var(--line); }
article .count { color: var(--link); font-size: 13px; font-weight: 600; }
.thread article { padding: .35rem .25rem; }
@media (max-width: 46rem) {
  body { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto 1fr; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  .fields { grid-template-columns: minmax(0, 1fr); }
}
"""
