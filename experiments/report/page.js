"use strict";
/* Draws a report's document (doc.h, translated) from #data; charts are page_charts.js's. Texts become text nodes and never
 * markup, and nothing is asked of a network. */

/* Every word of the page's own; #words gives another language's by the English one. */
const W = {
  run: "Run", compare: "Comparison", plan: "Decision", study: "Study", validate: "Validation",
  skip: "Skip to the report",
  contents: "Contents",
  dark: "Dark",
  light: "Light",
  warning: "Warning:",
  yes: "yes",
  no: "no",
  copy: "Copy",
  copied: "Copied",
  csv: "CSV",
  csvOf: "Download as CSV: {0}",
  show: "Show data",
  hide: "Hide data",
  sort: "Sort by this column",
  filter: "Filter rows",
  rows: "{0} of {1} rows",
  more: "Show more rows",
  series: "series",
  all: "All",
  none: "None",
  only: "only",
  onlyThis: "Only {0}",
  everywhere: "Same choice in all charts",
  low: "low",
  middle: "middle",
  high: "high",
  label: "label",
  line: "Line chart", scatter: "Scatter chart", bars: "Bar chart", stacked: "Stacked bar chart", ranges: "Chart of ranges",
  axis: "{0} from {1} to {2}",
  log: "logarithmic",
  oneSeries: "{0}: first {1}, last {2}, smallest {3}, largest {4}.",
  keys: "Arrow keys walk through the points.",
  noCharts: "The charts are shown as tables: Chart.js was not installed where this report was written (package libjs-chart.js).",
  written: "Written by kvsim {0}"
};
const at = id => document.getElementById(id), root = document.documentElement, lang = root.lang || "en";
const doc = JSON.parse(at("data").textContent), foreign = JSON.parse(at("words").textContent);
for (const k in W) if (typeof foreign[W[k]] === "string") W[k] = foreign[W[k]];
const fill = (template, ...args) => template.replace(/\{(\d)\}/g, (_, i) => args[i]);

/* An element with attributes (functions are listeners) and children; strings among them are texts, null is nothing. */
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (typeof value === "function") e.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}
const button = (kind, click, attributes, ...children) => el("button", { type: "button", class: kind, click, ...attributes }, ...children);
const taken = new Set();
function unique(id) {
  const plain = String(id || "part").replace(/[^\w-]/g, "_");
  let name = plain;
  for (let i = 2; taken.has(name) || at(name); i++) name = plain + "-" + i;
  taken.add(name);
  return name;
}

/* ---- numbers: so many significant digits, whole ones never cut, thousands apart ---- */

const writers = new Map();
function fixed(v, decimals) {
  if (!writers.has(decimals))
    writers.set(decimals, new Intl.NumberFormat(lang, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  return writers.get(decimals).format(v).replace(/^-(?=[0.,]*$)/, "").replace("-", "\u2212");
}
const power = a => Math.floor(Math.log10(a));
const extreme = v => v !== 0 && (Math.abs(v) < 1e-4 || Math.abs(v) >= 1e15);
function decimalsOf(v, digits) {
  if (v === 0 || extreme(v)) return 0;
  const text = v.toFixed(Math.min(Math.max(digits - 1 - power(Math.abs(v)), 0), 12)), dot = text.indexOf(".");
  return dot < 0 ? 0 : text.replace(/0+$/, "").length - dot - 1;
}
function number(v, digits = 4) {
  if (typeof v !== "number") return "–";
  return extreme(v) ? v.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("-", "\u2212") : fixed(v, decimalsOf(v, digits));
}
/* Columns of a fixed font: letters of Chinese, Japanese and Korean take two. */
const columnsOf = text => [...text].reduce((n, c) => n + (c > "\u2e7f" ? 2 : 1), 0);
const isNumber = v => typeof v === "number";
/* How a column writes its numbers: all with the same decimals where they are of like size. */
function columnWriter(values, digits) {
  let most = 0, least = Infinity, decimals = 0;
  for (const v of values)
    if (isNumber(v) && v !== 0) {
      most = Math.max(most, Math.abs(v)), least = Math.min(least, Math.abs(v));
      decimals = Math.max(decimals, decimalsOf(v, digits));
    }
  if (!(most / least < 1000) || extreme(most) || extreme(least)) return v => number(v, digits);
  decimals = Math.min(decimals, Math.max(digits - 1 - power(most), digits - 3 - power(least), 0));
  return v => v === 0 ? "0" : isNumber(v) ? fixed(v, decimals) : "–";
}
const cellText = v => v === null ? "–" : v === true ? W.yes : v === false ? W.no : isNumber(v) ? number(v) : String(v);
const withUnit = (text, unit) => unit ? text + (unit === "%" ? " %" : " " + unit) : text;
const titled = axis => [axis.title, axis.unit].filter(Boolean).join(", ") || "–";

/* ---- files, the live region, the clipboard ---- */

const tell = text => { at("live").textContent = text; };
function save(id, table) {
  const safe = v => typeof v === "string" && /^[=+\-@\t\r]/.test(v) ? "'" + v : String(v ?? ""); /* no formulas */
  const quoted = v => /[",\r\n]/.test(safe(v)) ? '"' + safe(v).replace(/"/g, '""') + '"' : safe(v);
  const lines = [table.columns.map(c => c.unit ? c.name + " (" + c.unit + ")" : c.name), ...table.rows].map(r => r.map(quoted).join(","));
  const url = URL.createObjectURL(new Blob([lang === "en" ? "" : "\ufeff", lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
  const link = el("a", { href: url, download: id + ".csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
function copy(from, knob) {
  const done = () => { knob.textContent = W.copied; tell(W.copied); setTimeout(() => { knob.textContent = W.copy; }, 2000); };
  const byHand = () => {
    getSelection().selectAllChildren(from);
    if (document.execCommand("copy")) done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(from.textContent).then(done, byHand);
  else byHand();
}

/* ---- tables ---- */

const LONG = 60, STEP = 300;
const sorter = new Intl.Collator(lang, { numeric: true });
/* In a column of numbers a text that begins with one, as 1.92M or 1,200 [900, 1,500], counts as that. */
function worth(v) {
  const [whole, sign, digits, suffix] = typeof v === "string" && /^<?\s*([-+\u2212]?)(\d[\d,]*(?:\.\d+)?)([kM]?)/.exec(v) || [];
  return whole ? (sign && sign !== "+" ? -1 : 1) * Number(digits.replace(/,/g, "")) * (suffix === "M" ? 1e6 : suffix === "k" ? 1e3 : 1) : v;
}
function order(a, b, down) { /* what is missing comes last either way */
  const lacks = v => v === null || v === undefined || v === "";
  if (lacks(a) || lacks(b)) return lacks(a) - lacks(b);
  const by = isNumber(a) && isNumber(b) ? a - b : isNumber(a) ? -1 : isNumber(b) ? 1 : sorter.compare(cellText(a), cellText(b));
  return down ? -by : by;
}
const toneOf = text => /^\+ \p{L}/u.test(text) ? "good" : /^- \p{L}/u.test(text) ? "bad" : null;
const boxes = new ResizeObserver(entries => { /* a box that scrolls is one that keys can scroll */
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth + 1) target.classList.add("tight");
    const wide = target.scrollWidth > target.clientWidth + 1, tall = target.scrollHeight > target.clientHeight + 1;
    target.classList.toggle("wide", wide);
    wide || tall ? target.setAttribute("tabindex", "0") : target.removeAttribute("tabindex");
  }
});

/* The table itself, and the tools for its head: a filter when it is long. */
function grid(t, label) {
  const state = { column: -1, down: false, filter: "", most: STEP }, rows = t.rows, made = [], texts = [];
  const write = t.columns.map((c, i) => c.text ? cellText : columnWriter(rows.map(r => r[i]), c.digits || 4));
  const body = el("tbody"), count = el("output"), long = rows.length > LONG;
  const cell = (v, i, j) => {
    const text = isNumber(v) ? write[j](v) : cellText(v), tone = typeof v === "string" ? toneOf(v) : null;
    const kind = [t.columns[j].text ? "text" : "number", columnsOf(text) > (j ? 26 : 16) ? "long" : "", tone].filter(Boolean).join(" ");
    return j || !t.columns[j].text ? el("td", { class: kind }, text) : el("th", { scope: "row", class: kind }, text);
  };
  const rowAt = i => made[i] ||= el("tr", null, ...t.columns.map((_, j) => cell(rows[i][j] ?? null, i, j)));
  const textAt = i => texts[i] ||= rows[i].map((v, j) => isNumber(v) ? write[j](v) : cellText(v)).join(" ").toLowerCase();
  const more = button("tool", () => { state.most += STEP; fillBody(); }, null, W.more);
  function fillBody() {
    let list = rows.map((_, i) => i);
    if (state.filter) list = list.filter(i => textAt(i).includes(state.filter));
    if (state.column >= 0) {
      const value = t.columns[state.column].text ? v => v : worth;
      list.sort((a, b) => order(value(rows[a][state.column]), value(rows[b][state.column]), state.down) || a - b);
    }
    body.replaceChildren(...list.slice(0, state.most).map(rowAt));
    more.hidden = list.length <= state.most;
    count.textContent = fill(W.rows, fixed(Math.min(list.length, state.most), 0), fixed(rows.length, 0));
  }
  const heads = t.columns.map((c, j) => {
    const words = [c.name, c.unit ? el("span", { class: "unit" }, c.unit) : null];
    const sortable = rows.length > 1 && (c.name || c.unit);
    return el("th", { scope: "col", class: c.text ? null : "number" },
      ...sortable ? [button(null, () => sortBy(j), { title: W.sort }, ...words)] : words);
  });
  function sortBy(j) { /* up, down, as it came */
    const again = state.column === j;
    Object.assign(state, again && state.down ? { column: -1, down: false } : { column: j, down: again });
    heads.forEach((h, i) => i === state.column ? h.setAttribute("aria-sort", state.down ? "descending" : "ascending")
      : h.removeAttribute("aria-sort"));
    fillBody();
  }
  fillBody();
  const head = el("thead", { class: t.columns.some(c => c.name || c.unit) ? null : "unseen" }, el("tr", null, ...heads));
  const box = el("div", { class: "scroll" + (long ? " tall" : ""), role: "region", "aria-label": label },
    el("table", { "aria-label": label }, head, body));
  boxes.observe(box);
  const input = e => { state.filter = e.target.value.trim().toLowerCase(); state.most = STEP; fillBody(); };
  const tools = long ? [el("input", { type: "search", placeholder: W.filter, "aria-label": W.filter + ": " + label, input }), count] : [];
  return { box, tools, more };
}
const saver = (id, title, table) => button("tool", () => save(id, table()), { "aria-label": fill(W.csvOf, title) }, W.csv);

const unfolders = []; /* of the folded tables: for paper */
function tableView(t) {
  const id = unique(t.id);
  const build = parent => {
    const g = grid(t, t.title || doc.title), tool = saver(id, t.title, () => t);
    parent.append(el("div", { class: "bar" }, t.folded || !t.title ? null : el("h3", null, t.title), ...g.tools, tool), g.box, g.more);
  };
  if (!t.folded) {
    const plain = el("div", { class: "table", id });
    build(plain);
    return plain;
  }
  const folded = el("details", { class: "table folded", id, toggle: () => unfold() }, el("summary", null, t.title || W.show));
  const unfold = () => { if (!folded.querySelector("table")) build(folded); };
  unfolders.push({ folded, unfold });
  return folded;
}

/* ---- the page ---- */

const prose = text => text.replace(/(\d) %/g, "$1\u00a0%");
function textView(part, lead) {
  if (part.tone === "heading") return el("h3", { class: lead ? "lead" : "within" }, part.text);
  if (part.tone === "warn") return el("p", { class: "warn" }, el("b", null, W.warning), prose(part.text));
  const kind = [lead && part.tone !== "soft" ? "lead" : "", part.tone === "plain" ? "" : part.tone].join(" ").trim();
  return el("p", { class: kind || null }, prose(part.text));
}
function codeView(part) {
  const text = el("code", null, part.text), knob = button("tool", () => copy(text, knob), null, W.copy);
  return el("div", { class: "code" }, el("pre", { tabindex: "0" }, text), knob);
}
function factsView(part) {
  const span = (kind, text) => text ? el("span", { class: kind }, text) : null;
  const one = f => el("div", null, el("dt", null, f.name), el("dd", null, number(f.value), span("unit", f.unit),
    span("band", isNumber(f.lo) && isNumber(f.hi) && "[" + number(f.lo) + ", " + number(f.hi) + "]")));
  return el("dl", { class: "facts" }, ...part.items.map(one));
}
const tablesView = tables => el("div", { class: "tables" }, ...tables.map(tableView));
const singles = { text: textView, code: codeView, facts: factsView }, groups = { table: tablesView, chart: chartsView };
/* Neighbouring charts and neighbouring tables share a row where they fit. */
function partsView(parent, parts, first) {
  let lead = first;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i], from = i;
    if (part.kind === "languages") partsView(parent, part[lang] || part.en, lead);
    else if (groups[part.kind]) {
      while (parts[i + 1]?.kind === part.kind) i++;
      parent.append(groups[part.kind](parts.slice(from, i + 1)));
    } else if (singles[part.kind]) parent.append(singles[part.kind](part, lead && part.kind === "text"));
    lead = lead && part.kind === "text" && part.tone === "warn";
  }
}
function contents(links) {
  const list = el("details", null, el("summary", null, W.contents), el("ol", null, ...links.map(a => el("li", null, a))));
  const wide = matchMedia("(min-width: 1080px)"), fit = () => { list.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  at("toc").append(list);
  at("toc").setAttribute("aria-label", W.contents);
  const seen = new Map(), watch = new IntersectionObserver(entries => {
    for (const e of entries) seen.set(e.target.id, e.isIntersecting);
    const now = links.find(a => seen.get(a.hash.slice(1)));
    for (const a of links) a === now ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current");
  }, { rootMargin: "0px 0px -60% 0px" });
  document.querySelectorAll("main > section").forEach(s => watch.observe(s));
}
const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
function head() {
  const knob = button("tool", () => { root.dataset.theme = isDark() ? "light" : "dark"; follow(); }, null);
  const name = () => { knob.textContent = isDark() ? W.light : W.dark; };
  const follow = () => { name(); redrawAll(false); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  name();
  const kind = el("p", { class: "kind" }, "kvsim · " + (Object.hasOwn(W, doc.kind) ? W[doc.kind] : ""));
  at("head").append(el("div", null, kind, el("h1", null, doc.title)), el("div", null, knob),
    ...doc.subtitle ? [el("p", { class: "subtitle" }, doc.subtitle)] : []);
}
/* Everything is drawn and open on paper, in light colours and as wide as paper is. */
function paper() {
  let before = null;
  const go = () => {
    if (before) return;
    before = { theme: root.dataset.theme, closed: unfolders.filter(u => !u.folded.open) };
    root.dataset.theme = "light";
    root.dataset.print = "";
    printing = true;
    for (const u of before.closed) { u.unfold(); u.folded.open = true; }
    redrawAll(true);
  };
  const back = () => {
    if (!before) return;
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    delete root.dataset.print;
    printing = false;
    for (const u of before.closed) u.folded.open = false;
    before = null;
    redrawAll(false);
  };
  addEventListener("beforeprint", go);
  addEventListener("afterprint", back);
  matchMedia("print").addEventListener("change", e => e.matches ? go() : back());
}

document.body.classList.add(Object.hasOwn(W, doc.kind) ? doc.kind : "other");
at("skip").textContent = W.skip;
readTheme();
head();
const links = doc.sections.map((s, i) => {
  const id = unique(s.id), title = el("h2", { id: id + "-title" }, s.title);
  const section = el("section", { id, "aria-labelledby": title.id }, title);
  at("main").append(section);
  if (!hasCharts && i === 0) section.append(el("p", { class: "soft" }, W.noCharts));
  partsView(section, s.parts, i === 0);
  return el("a", { href: "#" + id }, s.title);
});
contents(links);
at("foot").append(fill(W.written, doc.version || ""));
if (views.length) draw(views[0]);
for (const v of views.slice(1)) near.observe(v.figure);
paper();
