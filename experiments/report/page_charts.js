"use strict";
/* Draws a report's charts with Chart.js; without it they are tables. It is read before page.js, whose words, numbers and tables
 * it uses once that runs. A chart is drawn when it comes near, and drawn anew when the page's colours change. */
const hasCharts = typeof Chart !== "undefined";
const MANY = 8; /* series: more have their legend in columns, with buttons for all, none and one alone */

/* ---- points, whatever the form ---- */

const isBars = c => c.form === "bars" || c.form === "stacked" || c.form === "ranges";
const isLine = (c, s) => c.form === "line" || c.form === "scatter" && s.joined === true;
const isNamed = c => c.x.scale === "names";
const namesOf = c => c.x.names || [];
const xOf = (c, p) => isNamed(c) ? namesOf(c)[p[0]] ?? p[0] : p[0];
const yOf = (c, p) => c.form === "ranges" ? p[2] : p[1];
const labelOf = (c, p) => c.form === "scatter" && p[2] || "";
function bandOf(c, p) {
  if (c.form === "ranges") return [p[1], p[3]];
  return c.form === "line" && isNumber(p[2]) && isNumber(p[3]) ? [p[2], p[3]] : null;
}
const some = (c, test) => c.series.some(s => s.points.some(test));
const all = (c, value) => c.series.flatMap(s => s.points.map(value)).filter(isNumber);
const least = values => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = values => values.reduce((a, b) => Math.max(a, b), -Infinity);
const sameX = c => c.series.every(s => s.points.length === c.series[0].points.length &&
  s.points.every((p, i) => p[0] === c.series[0].points[i][0]));
/* Lying bars have room for long names. */
const lies = c => isBars(c) && (namesOf(c).some(n => columnsOf(n) > 5) || namesOf(c).length > 40);

/* ---- in words, and as tables ---- */

const xText = (c, p) => isNamed(c) ? String(xOf(c, p)) : withUnit(number(p[0]), c.x.unit);
function yText(c, p) {
  const band = bandOf(c, p);
  return withUnit(number(yOf(c, p)), c.y.unit) + (band ? " [" + number(band[0]) + ", " + number(band[1]) + "]" : "");
}
const pointText = (c, p) => [labelOf(c, p), xText(c, p) + ": " + yText(c, p)].filter(Boolean).join(", ");

function describeSeries(c, s) {
  const ys = s.points.map(p => yOf(c, p)).filter(isNumber), name = s.name || c.title;
  return ys.length ? fill(W.oneSeries, name, number(ys[0]), number(ys[ys.length - 1]), number(least(ys)), number(most(ys))) : name + ": –";
}
function describe(c) {
  const xs = all(c, p => p[0]), scaled = (text, axis) => axis.scale === "log" ? text + " (" + W.log + ")" : text;
  const x = isNamed(c) ? titled(c.x) + ": " + namesOf(c).join(", ") : fill(W.axis, titled(c.x), number(least(xs)), number(most(xs)));
  return [W[c.form] + ": " + c.title + ".", scaled(x, c.x) + ";", scaled(titled(c.y), c.y) + ".",
    ...c.series.map(s => describeSeries(c, s)), W.keys].join(" ");
}

/* A row for each point, as --format csv has it; to read, a column for each series where all have the same x. */
function chartTable(c, toRead) {
  const x = { name: c.x.title || (toRead && isNamed(c) ? "" : "x"), unit: isNamed(c) ? "" : c.x.unit, text: isNamed(c) };
  const y = name => ({ name: name || c.y.title || "y", unit: c.y.unit }), first = c.series[0];
  const banded = some(c, p => bandOf(c, p)), labelled = some(c, p => labelOf(c, p));
  if (toRead && sameX(c) && !banded && !labelled)
    return { columns: [x, ...c.series.map(s => y(s.name))],
      rows: first.points.map((p, i) => [xOf(c, p), ...c.series.map(s => s.points[i][1] ?? null)]) };
  const names = toRead && c.series.length === 1 ? [] : [{ name: W.series, text: true }];
  const values = c.form === "ranges" ? [y(W.low), y(W.middle), y(W.high)]
    : [y(), ...banded ? [y(W.low), y(W.high)] : [], ...labelled ? [{ name: W.label, text: true }] : []];
  const row = (s, p) => [...names.map(() => s.name), xOf(c, p), ...values.map((_, k) => p[1 + k] ?? null)];
  return { columns: [...names, x, ...values], rows: c.series.flatMap(s => s.points.map(p => row(s, p))) };
}

/* ---- looks: colour, dash and shape tell series apart, and a name looks alike in every chart ---- */

const HUES = 7, DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const SHAPES = ["circle", "rect", "triangle", "rectRot", "cross", "triangle", "crossRot"], UPSIDE_DOWN = 5;
const looks = new Map();
/* A limit, a goal, a peak: a line of two points along an axis, beside series that have more; a diagonal among points. */
const isMark = (c, s) => s.points.length === 2 && isLine(c, s) && (c.form === "scatter" ? !s.points.some(p => labelOf(c, p))
  : c.series.some(o => o.points.length > 2) && (s.points[0][0] === s.points[1][0] || s.points[0][1] === s.points[1][1]));
function looksOf(c) {
  const used = new Set(), index = c.series.map(s => isMark(c, s) ? HUES : -1);
  const take = (n, i) => { used.add(i); index[n] = i; };
  c.series.forEach((s, n) => { if (index[n] < 0 && looks.has(s.name) && !used.has(looks.get(s.name))) take(n, looks.get(s.name)); });
  c.series.forEach((s, n) => {
    let i = 0;
    while (used.has(i)) i++;
    if (index[n] < 0) take(n, i);
  });
  let marks = 0;
  return c.series.map((s, n) => {
    if (isMark(c, s)) return { hue: HUES, dash: 1 + marks++ % (DASHES.length - 1), shape: 0, mark: true };
    const i = index[n], round = Math.floor(i / HUES);
    if (!looks.has(s.name)) looks.set(s.name, i);
    return { hue: i % HUES, dash: round % DASHES.length, shape: (i + round * 2) % SHAPES.length, mark: false };
  });
}

let theme; /* of the canvases: what the style sheet says now */
function readTheme() {
  const probe = el("i", { hidden: true }), read = name => {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  };
  document.body.append(probe);
  theme = { ink: read("ink"), soft: read("soft"), line: read("line"), page: read("page"), strong: read("strong"),
    hues: Array.from({ length: HUES + 1 }, (_, i) => read("s" + i)), font: getComputedStyle(document.body).fontFamily };
  probe.remove();
}
const faded = (colour, alpha) => colour.replace("rgb(", "rgba(").replace(")", ", " + alpha + ")");
/* Bars beyond the seventh are hatched, then dotted. */
function barFill(look, colour) {
  if (!look.dash) return colour;
  const tile = document.createElement("canvas"), g = tile.getContext("2d");
  tile.width = tile.height = 6;
  Object.assign(g, { strokeStyle: colour, fillStyle: colour, lineWidth: 1.6 });
  if (look.dash === 1) for (const d of [-6, 0, 6]) stroke(g, d - 1, 7, d + 7, -1);
  else {
    g.arc(3, 3, 1.7, 0, 7);
    g.fill();
  }
  return g.createPattern(tile, "repeat");
}
function stroke(g, x0, y0, x1, y1) {
  g.beginPath();
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
  g.stroke();
}
function short(text, columns) {
  const letters = [...text];
  if (columnsOf(text) <= columns) return text;
  while (columnsOf(letters.join("")) >= columns) letters.pop();
  return letters.join("") + "…";
}

/* ---- what Chart.js draws ---- */

const isDim = (view, i) => view.active >= 0 && view.active !== i;
const usable = (v, axis) => isNumber(v) && !(axis.scale === "log" && v <= 0) ? v : null;
function barsOf(view, s, i) {
  const { c } = view, look = view.looks[i], hue = theme.hues[look.hue], colour = isDim(view, i) ? faded(hue, .25) : hue;
  const data = namesOf(c).map(() => null), ranges = c.form === "ranges", stacked = c.form === "stacked";
  for (const p of s.points) if (p[0] in data) data[p[0]] = ranges ? [p[1], p[3]] : usable(p[1], c.y);
  return { data, backgroundColor: ranges ? faded(hue, isDim(view, i) ? .15 : .45) : barFill(look, colour), borderSkipped: false,
    borderColor: stacked ? theme.page : colour, borderWidth: stacked ? .5 : look.dash ? 1 : 0,
    maxBarThickness: 26, categoryPercentage: .82, barPercentage: .94 };
}
function lineOf(view, s, i) {
  const { c } = view, look = view.looks[i], n = c.series.length, hue = theme.hues[look.hue];
  const colour = isDim(view, i) ? faded(hue, .16) : hue, joined = isLine(c, s), scattered = c.form === "scatter";
  const few = !look.mark && s.points.length <= 40 && (n > 1 || s.points.length <= 12), dotted = scattered ? !joined : few;
  return { data: s.points.map(p => ({ x: usable(p[0], c.x), y: usable(p[1], c.y) })), showLine: joined, borderColor: colour,
    borderWidth: joined && n <= MANY ? 2 : 1.5, borderDash: DASHES[look.dash || (scattered ? 1 : 0)], borderJoinStyle: "round", tension: 0,
    pointStyle: SHAPES[look.shape], pointRotation: look.shape === UPSIDE_DOWN ? 180 : 0, pointRadius: dotted ? (scattered ? 5 : 3.5) : 0,
    pointBackgroundColor: look.dash ? theme.page : colour, pointBorderColor: colour, pointBorderWidth: 1.5, pointHitRadius: look.mark ? 1 : 6,
    pointHoverRadius: 6, pointHoverBackgroundColor: colour, pointHoverBorderColor: theme.page,
    sparse: joined && !dotted && !scattered && !look.mark && n > 1 };
}
const datasets = view => view.c.series.map((s, i) => ({ label: s.name, hidden: view.key.hidden.has(i),
  order: view.active === i ? -1 : 0, clip: 6, ...(isBars(view.c) ? barsOf : lineOf)(view, s, i) }));

/* ---- axes ---- */

/* zero is there unless it is far off; bands are seen whole */
function upLimits(view, scale) {
  const { c } = view, log = c.y.scale === "log", fixedMin = isNumber(c.y.min), fixedMax = isNumber(c.y.max);
  const ends = shown(view).flatMap(i => c.series[i].points.flatMap(p => bandOf(c, p) || [])).filter(v => isNumber(v) && (!log || v > 0));
  if (!fixedMin) scale.min = Math.min(scale.min, least(ends));
  if (!fixedMax) scale.max = Math.max(scale.max, most(ends));
  if (!log && !fixedMin && scale.min > 0 && (scale.min < .7 * scale.max || c.form === "bars" || c.form === "stacked")) scale.min = 0;
  if (log && !fixedMin) scale.min /= isBars(c) ? 2 : 1.1;
  if (log && !fixedMax) scale.max *= 1.1;
  scale.max = Number(scale.max.toPrecision(9)); /* shares that sum up to a little more than 100 % */
}
/* a line goes from edge to edge, points stand apart from it */
function sideLimits(c, scale) {
  const log = c.x.scale === "log", xs = all(c, p => usable(p[0], c.x));
  if (c.form === "scatter" ? !log : !xs.length) return;
  const room = c.form === "scatter" ? 1.1 : 1;
  if (!isNumber(c.x.min)) scale.min = !log && least(xs) > 0 && least(xs) < .2 * most(xs) ? 0 : least(xs) / room;
  if (!isNumber(c.x.max)) scale.max = most(xs) * room;
  if (scale.min < scale.max) return;
  const half = Math.abs(scale.min) / 2 || 1;
  scale.min -= half;
  scale.max += half;
}
function roundTicks(min, max) {
  const rough = (max - min) / 8, unit = 10 ** power(rough), step = unit * [1, 2, 5, 10].find(f => f * unit >= rough);
  const from = Math.ceil(min / step - 1e-6), n = Math.floor(max / step + 1e-6) - from + 1;
  return Array.from({ length: n }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}
function logTicks(min, max) {
  const decades = Math.log10(max / min), factors = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
  const tens = Array.from({ length: power(max) - power(min) + 1 }, (_, i) => 10 ** (power(min) + i));
  const ticks = tens.flatMap(ten => factors.map(f => f * ten)).filter(v => v >= min * .999 && v <= max * 1.001);
  return ticks.filter((_, i) => i % Math.ceil(ticks.length / 10) === 0);
}
function axisOptions(view, which) {
  const c = view.c, axis = c[which], lying = lies(c), upright = which === "y", names = axis.scale === "names", log = axis.scale === "log";
  const o = { type: names ? "category" : log ? "logarithmic" : "linear", stacked: c.form === "stacked",
    grid: { color: theme.line, drawBorder: false, tickLength: 4, display: !names },
    ticks: { color: theme.soft, font: { size: 12 }, maxRotation: namesOf(c).some(n => columnsOf(n) > 5) ? 50 : 0, padding: 3,
      autoSkipPadding: 14, autoSkip: !(names && lying), maxTicksLimit: names ? undefined : upright ? 7 : 9 } };
  if (upright === lying) /* an upright axis has its title above it, in the page */
    o.title = { display: Boolean(axis.title || axis.unit), text: titled(axis), color: theme.soft, align: "end", font: { size: 12.5 } };
  if (names) return { ...o, labels: namesOf(c).map(n => short(n, lying ? 30 : 16)), offset: isBars(c) };
  if (isNumber(axis.min)) o.min = axis.min;
  if (isNumber(axis.max)) o.max = axis.max;
  const compact = new Intl.NumberFormat(lang, { notation: "compact" });
  o.ticks.callback = v => log || Math.abs(v) < 1e6 ? number(v) : compact.format(v);
  o.afterDataLimits = s => upright ? upLimits(view, s) : isBars(c) ? null : sideLimits(c, s);
  if (log || c.form === "line" && !upright) {
    o.bounds = "data";
    o.afterBuildTicks = s => { s.ticks = (log ? logTicks : roundTicks)(s.min, s.max).map(value => ({ value })); };
  }
  return o;
}

/* ---- the whole of a chart ---- */

function tooltip(view) {
  const { c } = view, bars = isBars(c), look = item => view.looks[item.datasetIndex];
  const pointAt = item => c.series[item.datasetIndex].points.find((p, k) => (bars ? p[0] : k) === item.dataIndex);
  const label = item => (c.series.length > 1 && item.dataset.label ? item.dataset.label + ": " : "") +
    (c.form === "scatter" ? titled(c.x) + ": " + number(pointAt(item)[0]) + ", " : "") + yText(c, pointAt(item));
  const title = ([item]) => !item ? "" : c.form === "scatter" ? labelOf(c, pointAt(item))
    : (isNamed(c) || !c.x.title ? "" : c.x.title + " ") + xText(c, pointAt(item));
  return { enabled: !printing, backgroundColor: theme.ink, titleColor: theme.page, bodyColor: theme.page, cornerRadius: 3, padding: 8,
    usePointStyle: true, boxPadding: 4, titleFont: { family: theme.font }, bodyFont: { family: theme.font }, callbacks: { label, title,
      labelPointStyle: item => ({ pointStyle: bars ? "rect" : SHAPES[look(item).shape], rotation: 0 }),
      labelColor: item => ({ borderColor: theme.page, backgroundColor: theme.hues[look(item).hue] }) } };
}
function options(view) {
  const { c } = view, lying = lies(c), n = c.series.length, bars = isBars(c), x = axisOptions(view, "x"), y = axisOptions(view, "y");
  const together = n <= MANY && (bars || n > 1 && c.form === "line" && sameX(c)); /* told of at once */
  return { animation: false, responsive: true, maintainAspectRatio: false, locale: lang, indexAxis: lying ? "y" : "x",
    ...bars ? {} : { parsing: false, normalized: c.form === "line" }, devicePixelRatio: printing ? 2 : undefined,
    font: { family: theme.font }, layout: { padding: { top: 6, right: hasValues(c) ? 52 : 10 } },
    interaction: { intersect: false, mode: together ? "index" : "nearest", axis: bars ? (lying ? "y" : "x") : together ? "x" : "xy" },
    plugins: { legend: { display: false }, tooltip: tooltip(view) }, scales: lying ? { x: y, y: x } : { x, y } };
}

/* ---- what Chart.js has no form for: bands, shapes on long lines, middles of ranges, labels ---- */

const shown = view => view.c.series.map((_, i) => i).filter(i => view.chart.isDatasetVisible(i));
function drawBand(view, g, points) {
  const { x, y } = view.chart.scales, log = view.c.y.scale === "log";
  g.beginPath();
  for (const p of points) g.lineTo(x.getPixelForValue(p[0]), y.getPixelForValue(p[3]));
  for (const p of points.reverse()) g.lineTo(x.getPixelForValue(p[0]), y.getPixelForValue(log ? Math.max(p[2], y.min) : p[2]));
  g.fill();
}
function drawBands(view, g) {
  const { c } = view, visible = shown(view);
  for (const i of visible) {
    if (visible.length > 6 && view.active !== i) continue; /* a fog of bands says nothing: that of the series pointed at */
    g.fillStyle = faded(theme.hues[view.looks[i].hue], isDim(view, i) ? .04 : visible.length > 3 ? .12 : .17);
    let run = [];
    for (const p of [...c.series[i].points, []]) {
      if (isNumber(p[0]) && bandOf(c, p)) { run.push(p); continue; }
      drawBand(view, g, run);
      run = [];
    }
  }
}
function drawShapes(view, g, i) {
  const set = view.chart.data.datasets[i], points = view.chart.getDatasetMeta(i).data;
  if (!set.sparse) return;
  const look = { pointStyle: set.pointStyle, rotation: set.pointRotation, radius: 3.5, borderWidth: 1.5 };
  const step = Math.max(Math.floor(points.length / 6), 1);
  Object.assign(g, { fillStyle: set.pointBackgroundColor, strokeStyle: set.borderColor, lineWidth: 1.5 });
  for (let k = Math.floor(step * (i + .5) / view.c.series.length); k < points.length; k += step)
    if (!points[k].skip) Chart.helpers.drawPoint(g, look, points[k].x, points[k].y);
}
function drawMiddles(view, g) {
  const { c, chart } = view, lying = lies(c), scale = chart.scales[lying ? "x" : "y"];
  for (const i of shown(view))
    for (const p of c.series[i].points) {
      const bar = chart.getDatasetMeta(i).data[p[0]];
      if (!bar || !isNumber(p[2])) continue;
      const mark = scale.getPixelForValue(p[2]);
      const half = (lying ? bar.height : bar.width) / 2, ink = c.series.length > 1 ? theme.hues[view.looks[i].hue] : theme.ink;
      for (const [lineWidth, strokeStyle] of [[5, theme.page], [2.5, isDim(view, i) ? theme.strong : ink]]) {
        Object.assign(g, { lineWidth, strokeStyle });
        lying ? stroke(g, mark, bar.y - half, mark, bar.y + half) : stroke(g, bar.x - half, mark, bar.x + half, mark);
      }
    }
}
/* Bars of one series say their value, unless all have the same. */
const hasValues = c => (c.form === "bars" || c.form === "ranges") && c.series.length === 1 && lies(c) &&
  (c.series[0].points.length < 2 || c.series[0].points.some(p => yOf(c, p) !== yOf(c, c.series[0].points[0])));
function drawValues(view, g) {
  const { c } = view, { points } = c.series[0], write = columnWriter(points.map(p => yOf(c, p)), 3);
  Object.assign(g, { font: "12px " + theme.font, fillStyle: theme.ink, textBaseline: "middle", textAlign: "left" });
  for (const p of points) {
    const bar = view.chart.getDatasetMeta(0).data[p[0]];
    if (!bar || !isNumber(yOf(c, p))) continue;
    const from = c.form === "ranges" ? view.chart.scales.x.getPixelForValue(p[2]) : Math.max(bar.x, bar.base); /* beside the mark, whose value it is */
    g.fillText(write(yOf(c, p)), from + 6, bar.y);
  }
}
/* Labels of scattered points, where there is room beside, above or below: of a crowd those on the line alone. */
const PLACES = [[9, -6, 0], [-9, -6, 1], [0, -19, .5], [0, 8, .5], [7, -18, 0], [7, 6, 0], [-7, -18, 1], [-7, 6, 1]], CROWD = 24;
function drawLabels(view, g) {
  const { c, chart } = view, area = chart.chartArea, placed = [];
  const spots = shown(view).flatMap(i => chart.getDatasetMeta(i).data.map((e, k) =>
    ({ x: e.x, y: e.y, i, at: c.series[i].points[k].slice(0, 2).join(" "), text: isLine(c, c.series[i]) ? "" : short(labelOf(c, c.series[i].points[k]), 36) })));
  const onLine = new Set(c.series.filter(s => isLine(c, s)).flatMap(s => s.points.map(p => p[0] + " " + p[1])));
  const labelled = spots.filter(s => s.text), told = labelled.length <= CROWD ? labelled : labelled.filter(s => onLine.has(s.at)).slice(0, CROWD);
  const free = ([x0, y0, x1, y1]) => x0 >= area.left && x1 <= chart.width && y0 >= 0 && y1 <= area.bottom &&
    !placed.some(o => x0 < o[2] && x1 > o[0] && y0 < o[3] && y1 > o[1]) &&
    !spots.some(s => s.x > x0 - 6 && s.x < x1 + 6 && s.y > y0 - 5 && s.y < y1 + 5);
  Object.assign(g, { font: "11.5px " + theme.font, textBaseline: "middle", textAlign: "left" });
  for (const s of told) {
    const width = g.measureText(s.text).width;
    const boxes = PLACES.map(([dx, dy, share]) => [s.x + dx - share * width, s.y + dy]).map(([x, y]) => [x, y, x + width, y + 12]);
    const box = boxes.find(free);
    if (!box) continue;
    placed.push(box);
    g.fillStyle = isDim(view, s.i) ? theme.strong : theme.ink;
    g.fillText(s.text, box[0], box[1] + 6);
  }
}
function overlay(view) {
  const within = draw => (chart, args) => { chart.ctx.save(); draw(chart.ctx, chart.chartArea, args); chart.ctx.restore(); };
  return { id: "overlay",
    beforeInit: chart => { view.chart = chart; }, /* it draws before its constructor is done */
    beforeDatasetsDraw: within((g, area) => {
      g.beginPath();
      g.rect(area.left, area.top, area.width, area.height);
      g.clip();
      if (view.c.form === "line") drawBands(view, g);
    }),
    afterDatasetDraw: within((g, area, args) => drawShapes(view, g, args.index)),
    afterDatasetsDraw: within(g => {
      if (view.c.form === "ranges") drawMiddles(view, g);
      if (view.c.form === "scatter") drawLabels(view, g);
      if (hasValues(view.c)) drawValues(view, g);
    }) };
}

/* ---- when it is drawn ---- */

const views = [];
let printing = false;
function draw(view) {
  near.unobserve(view.figure);
  if (!hasCharts) view.showData();
  if (view.chart || !hasCharts) return;
  Chart.defaults.font.family = theme.font;
  new Chart(view.canvas, { type: isBars(view.c) ? "bar" : "line", plugins: [overlay(view)], options: options(view),
    data: { labels: isBars(view.c) ? namesOf(view.c) : undefined, datasets: datasets(view) } });
  if (!performance.getEntriesByName("first-chart").length) performance.mark("first-chart");
}
const near = new IntersectionObserver(entries => {
  for (const e of entries) if (e.isIntersecting) draw(views.find(v => v.figure === e.target));
}, { rootMargin: "500px 0px" });
function redrawAll(now) {
  readTheme();
  for (const v of views) {
    v.chart?.destroy();
    v.chart = null;
    now ? draw(v) : near.observe(v.figure);
  }
}
function restyle(view) {
  if (!view.chart) return;
  const now = datasets(view);
  view.chart.data.datasets.forEach((d, i) => Object.assign(d, now[i], { data: d.data }));
  view.chart.update();
}

/* ---- legends: a key is that of one chart, or of several with the same series ---- */

function choose(key, hidden) {
  key.hidden = hidden;
  key.knobs.forEach((k, i) => k.setAttribute("aria-pressed", String(!hidden.has(i))));
  for (const v of key.views) {
    v.chart?.data.datasets.forEach((_, i) => v.chart.setDatasetVisibility(i, !hidden.has(i)));
    restyle(v);
  }
}
function light(key, i) {
  for (const v of key.views) {
    v.active = i;
    restyle(v);
  }
}
const but = (key, i) => new Set(key.series.map((_, k) => k).filter(k => k !== i));
function toggled(key, i) {
  const hidden = new Set(key.hidden);
  hidden.delete(i) || hidden.add(i);
  return hidden;
}
function everywhere(key) {
  const names = key.series.map(s => s.name), isOff = name => key.hidden.has(names.indexOf(name));
  for (const k of new Set(views.map(v => v.key)))
    if (k !== key && k.knobs.length)
      choose(k, new Set([...k.series.keys()].filter(i => names.includes(k.series[i].name) ? isOff(k.series[i].name) : k.hidden.has(i))));
}
function swatch(view, i) {
  const { hue, dash, shape, mark } = view.looks[i], c = view.c;
  const kind = isBars(c) ? "block" : mark || c.form === "scatter" && isLine(c, c.series[i]) ? "bare" : isLine(c, c.series[i]) ? "" : "dots";
  const e = el("span", { class: `swatch ${kind} dash${dash} shape${shape}`, "aria-hidden": "true" });
  e.style.setProperty("--c", `var(--s${hue})`);
  return e;
}
function entry(view, s, i) {
  const { key } = view, off = () => view.active === i && light(key, -1);
  const knob = button("key", () => choose(key, toggled(key, i)), { "aria-pressed": String(!key.hidden.has(i)),
    title: s.name.length > 20 ? s.name : null, focus: e => e.target.matches(":focus-visible") && light(key, i), blur: off },
    swatch(view, i), el("span", null, s.name));
  const only = button("only tool", () => choose(key, but(key, i)), { "aria-label": fill(W.onlyThis, s.name) }, W.only);
  key.knobs.push(knob);
  return el("div", { class: "entry", pointerenter: e => e.pointerType === "mouse" && light(key, i), pointerleave: off },
    knob, key.series.length > MANY ? only : null);
}
/* One stop for Tab; arrows go from button to button. */
function rove(box) {
  const stops = [...box.querySelectorAll("button")];
  const stop = to => stops.forEach((b, i) => b.setAttribute("tabindex", i === to ? "0" : "-1"));
  box.addEventListener("keydown", e => {
    const from = stops.indexOf(document.activeElement), step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    const to = e.key === "Home" ? 0 : e.key === "End" ? stops.length - 1 : step ? (from + step + stops.length) % stops.length : -1;
    if (to < 0) return;
    e.preventDefault();
    stop(to);
    stops[to].focus();
  });
  stop(0);
}
function legend(view) {
  const { key, c } = view, many = c.series.length > MANY, tool = (click, word) => button("tool", click, null, word);
  if (c.series.length < 2) return el("div");
  const row = el("div", { class: "row" }, tool(() => choose(key, new Set()), W.all), tool(() => choose(key, but(key, -1)), W.none),
    tool(() => everywhere(key), W.everywhere));
  const box = el("div", { class: "legend" + (many ? " many" : ""), role: "toolbar", "aria-label": W.series + ": " + c.title },
    ...c.series.map((s, i) => entry(view, s, i)), many ? row : null);
  rove(box);
  return box;
}

/* ---- keys: left and right from point to point, up and down from series to series, with Shift ten at once ---- */

function point(view, spot) {
  const { c, chart } = view, s = spot && c.series[spot.series], p = s && s.points[spot.index];
  const active = p ? [{ datasetIndex: spot.series, index: isBars(c) ? p[0] : spot.index }] : [];
  chart.setActiveElements(active);
  chart.tooltip.setActiveElements(active, { x: 0, y: 0 });
  chart.update();
  if (p) tell((c.series.length > 1 ? s.name + ". " : "") + pointText(c, p));
}
function step(c, visible, { series, index }, by) {
  const to = index + by, last = c.series[series].points.length - 1, next = visible[visible.indexOf(series) + Math.sign(by)];
  if (c.form === "scatter" && next !== undefined && (to < 0 || to > last)) /* scattered points are one crowd */
    return { series: next, index: by < 0 ? c.series[next].points.length - 1 : 0 };
  return { series, index: Math.min(Math.max(to, 0), last) };
}
function walk(view, e) {
  const { c, chart } = view, visible = chart ? shown(view) : [], far = e.shiftKey ? 10 : 1, n = visible.length;
  const across = { ArrowLeft: -far, ArrowRight: far, Home: -Infinity, End: Infinity }[e.key], along = { ArrowUp: -1, ArrowDown: 1 }[e.key];
  if (!n || !across && !along && e.key !== "Escape") return;
  e.preventDefault();
  if (e.key === "Escape") return point(view, null);
  if (!visible.includes(view.at.series)) view.at = { series: visible[0], index: -1 };
  const { series, index } = view.at;
  if (along) view.at = { series: visible[(visible.indexOf(series) + along + n) % n], index: Math.max(index, 0) };
  view.at = Number.isFinite(across) ? step(c, visible, view.at, across)
    : { series: view.at.series, index: Math.min(Math.max(across ? across : view.at.index, 0), c.series[view.at.series].points.length - 1) };
  point(view, view.at);
}

/* ---- its place on the page ---- */

function heightOf(c) {
  if (!lies(c)) return c.series.length > MANY ? 340 : 280;
  const bars = c.form === "stacked" ? 1 : Math.min(c.series.length, 6);
  return Math.max(namesOf(c).length * (bars === 1 ? 25 : 9 * bars + 10) + 50, 130);
}
/* The legend of one of the keys, where it has the same many series. */
function keyOf(c, keys) {
  const names = c.series.map(s => s.name).join("\n"), bars = isBars(c);
  return c.series.length > MANY && keys.find(k => k.names === names && k.bars === bars) || { names, bars, series: c.series, views: [], knobs: [],
    hidden: new Set([...c.series.keys()].filter(i => c.series[i].own === false)) };
}
function dataOf(view) {
  const { c, id } = view, data = el("div", { class: "data", id: id + "-data", hidden: hasCharts });
  view.showData = () => {
    if (data.firstChild) return;
    const g = grid(chartTable(c, true), c.title);
    data.append(el("div", { class: "bar" }, ...g.tools), g.box, g.more);
  };
  const toggle = button("tool", () => {
    data.hidden = !data.hidden;
    toggle.setAttribute("aria-expanded", String(!data.hidden));
    toggle.textContent = data.hidden ? W.show : W.hide;
    if (!data.hidden) view.showData();
  }, { "aria-expanded": "false", "aria-controls": data.id }, W.show);
  return el("div", { class: "tools" }, hasCharts ? toggle : null, saver(id, c.title, () => chartTable(c, false)), data);
}
function plotOf(view) {
  const { c, canvas } = view, plot = el("div", { class: "plot" }, canvas);
  plot.style.setProperty("--height", heightOf(c) + "px");
  canvas.addEventListener("keydown", e => walk(view, e));
  canvas.addEventListener("blur", () => view.chart && point(view, null));
  return [view.key.views.length === 1 ? legend(view) : el("div"),
    el("div", { class: "upright" }, lies(c) || !c.y.title && !c.y.unit ? "" : titled(c.y)), plot];
}
function chartView(c, keys) {
  const id = unique(c.id), canvas = el("canvas", { role: "img", tabindex: "0", "aria-label": describe(c) });
  const view = { c, id, canvas, chart: null, looks: looksOf(c), active: -1, at: { series: 0, index: -1 }, key: keyOf(c, keys) };
  view.key.views.push(view);
  keys.push(view.key);
  const head = el("div", null, el("h3", { id: id + "-title" }, c.title), c.note ? el("p", { class: "note" }, prose(c.note)) : null);
  view.figure = el("figure", { class: lies(c) ? "chart lying" : "chart", id, "aria-labelledby": id + "-title" },
    head, ...hasCharts ? plotOf(view) : [el("div"), el("div"), el("div")], dataOf(view));
  views.push(view);
  return view;
}
/* Two in a row. A legend of many series stands above all that share it; a chart with one of its own is as wide as two. */
function chartsView(charts) {
  const keys = [], box = el("div", { class: "charts" }), beside = charts.map(c => chartView(c, keys)), halves = [];
  for (const view of beside) {
    const many = view.c.series.length > MANY, shared = view.key.views.length > 1, bar = view.figure.querySelector(".legend");
    if (many && shared && bar) {
      bar.replaceWith(el("div"));
      box.append(bar);
    }
    if (many && !shared) view.figure.classList.add("wide");
    else halves.push(view.figure);
    box.append(view.figure);
  }
  if (halves.length % 2) halves[halves.length - 1].classList.add("wide"); /* alone in its row */
  return box;
}
