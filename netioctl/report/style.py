"""How a report's page looks, and what sorts its tables: plain CSS and JavaScript."""

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16202c; --ink-2: #4c5a69; --line: #dfe4ea;
  --accent: #1f5fbf; --bad: #b3261e; --bad-back: #fdecea;
  --sent: #2267c9; --received: #c75a00;
  --c0: #2267c9; --c1: #c75a00; --c2: #1a8f5a; --c3: #a23bb0; --c4: #b58900; --c5: #0f8ea3;
  --c6: #98a3af;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151b; --card: #182029; --ink: #e8edf2; --ink-2: #a9b5c1; --line: #2c3742;
    --accent: #7db1ff; --bad: #ff8a80; --bad-back: #3a1f20;
    --sent: #6ea8ff; --received: #ffa657;
    --c0: #6ea8ff; --c1: #ffa657; --c2: #5fd3a0; --c3: #d990e6; --c4: #e3c04d; --c5: #5cc8dc;
    --c6: #77828e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 1040px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.5rem; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 2px; }
.about { color: var(--ink-2); margin: 0 0 10px; overflow-wrap: anywhere; }
section, .tile, .bad {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px;
}
section { margin-top: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; }
.tile { padding: 10px 14px; }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--ink-2); font-size: .85rem; }
.bad { border-color: var(--bad); background: var(--bad-back); margin-top: 14px; }
.bad ul { margin: 4px 0 0; padding-left: 20px; max-height: 14em; overflow-y: auto; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit !important; }
.narrow { display: none; }
.legend {
  list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 8px 0 0; padding: 0;
}
.legend li { font-size: .85rem; color: var(--ink-2); overflow-wrap: anywhere; }
.legend i {
  display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: 6px;
}
.scroll { overflow-x: auto; margin: 0 -16px -14px; padding: 0 16px 14px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: 5px 10px 5px 0; text-align: left; border-bottom: 1px solid var(--line); }
td { vertical-align: top; }
td.end { overflow-wrap: anywhere; min-width: 12em; }
th.number, td.number {
  text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-left: 8px;
}
th button {
  all: unset; cursor: pointer; font-weight: 600; color: var(--ink); white-space: nowrap;
}
th button:hover { color: var(--accent); }
th button:focus-visible, input:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px;
}
th button::after { content: " \\2195"; color: var(--line); }
th[aria-sort=ascending] button::after { content: " \\2191"; color: var(--accent); }
th[aria-sort=descending] button::after { content: " \\2193"; color: var(--accent); }
input {
  font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 10px; width: min(22em, 100%); margin-bottom: 8px;
}
footer { color: var(--ink-2); font-size: .85rem; margin-top: 20px; }
@media (max-width: 640px) {
  main { padding: 12px 10px 32px; }
  .wide { display: none; }
  .narrow { display: block; }
  section { padding: 12px; }
  .scroll { margin: 0 -12px -12px; padding: 0 12px 12px; }
}
@media print { body { background: none; } input { display: none; } }
"""

SCRIPT = """
'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const key = (row, at) => {
    const cell = row.cells[at], value = cell.dataset.value;
    return value === undefined ? cell.textContent.toLowerCase() : Number(value);
  };
  heads.forEach((head, at) => head.querySelector('button').addEventListener('click', () => {
    const number = head.classList.contains('number');
    const now = head.getAttribute('aria-sort');
    const down = now ? now === 'ascending' : number;
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.rows].map(row => [key(row, at), row]);
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
  }));
  const input = table.closest('section').querySelector('input');
  if (input) input.addEventListener('input', () => {
    const words = input.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(words);
  });
}
"""
