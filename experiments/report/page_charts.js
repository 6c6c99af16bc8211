"use strict";
/* Draws a report's charts with Chart.js; without it they are tables. Read before page.js, whose words, numbers and tables it uses
 * once that has begun. A chart is drawn when it comes near, and again when colours change. */
const hasCharts = typeof Chart !== "undefined";

/* ---- charts: what they say without a picture ---- */

const namesOf = c => c.x.names || [];
const xText = (c, x) => c.x.scale === "names" ? String(namesOf(c)[x] ?? x) : withUnit(number(x), c.x.unit);
const yText = (c, y) => withUnit(number(y), c.y.unit);
/* y of a point, wherever its form has it. */
const yOf = (c, p) => c.form === "ranges" ? p[2] : p[1];
const bandOf = (c, p) => c.form === "ranges" ? [p[1], p[3]] : c.form === "line" && isNumber(p[2]) && isNumber(p[3]) ? [p[2], p[3]] : null;
function pointText(c, s, p) {
  const band = bandOf(c, p), label = c.form === "scatter" && p[2] ? p[2] + ", " : "";
  return label + xText(c, p[0]) + ": " + yText(c, yOf(c, p)) + (band ? " [" + number(band[0]) + ", " + number(band[1]) + "]" : "");
}
function describe(c) {
  const xs = c.series.flatMap(s => s.points.map(p => p[0])).filter(isNumber);
  const x = c.x.scale === "names" ? titled(c.x) + ": " + namesOf(c).join(", ")
    : fill(W.axis, titled(c.x), number(xs.reduce((a, b) => Math.min(a, b), Infinity)), number(xs.reduce((a, b) => Math.max(a, b), -Infinity)));
  const scaled = (text, axis) => axis.scale === "log" ? text + " (" + W.log + ")" : text;
  const one = s => {
    const ys = s.points.map(p => yOf(c, p)).filter(isNumber);
    return ys.length ? fill(W.oneSeries, s.name || c.title, number(ys[0]), number(ys[ys.length - 1]), number(Math.min(...ys)), number(Math.max(...ys)))
      : (s.name || c.title) + ": –";
  };
  return [W[c.form] + ": " + c.title + ".", scaled(x, c.x) + ";", scaled(titled(c.y), c.y) + ".", ...c.series.map(one), W.keys].join(" ");
}
const sameX = c => c.series.every(s => s.points.length === c.series[0].points.length && s.points.every((p, i) => p[0] === c.series[0].points[i][0]));
/* Its points as a table, a row each as in --format csv; to read, a column for each series where all have the same x. */
function chartTable(c, toRead) {
  const named = c.x.scale === "names", x = { name: c.x.title || (toRead && named ? "" : "x"), unit: named ? "" : c.x.unit, text: named };
  const y = name => ({ name, unit: c.y.unit }), xOf = p => named ? namesOf(c)[p[0]] ?? p[0] : p[0], up = y(c.y.title || "y");
  const banded = c.series.some(s => s.points.some(p => bandOf(c, p))), labelled = c.form === "scatter" && c.series.some(s => s.points.some(p => p[2]));
  if (toRead && sameX(c) && !banded && !labelled)
    return { columns: [x, ...c.series.map(s => y(s.name || up.name))],
      rows: c.series[0].points.map((p, i) => [xOf(p), ...c.series.map(s => s.points[i][1] ?? null)]) };
  const single = toRead && c.series.length === 1, rest = c.form === "ranges" ? [y(W.low), y(W.middle), y(W.high)]
    : [up, ...banded ? [y(W.low), y(W.high)] : [], ...labelled ? [{ name: W.label, text: true }] : []];
  return { columns: [...single ? [] : [{ name: W.series, text: true }], x, ...rest],
    rows: c.series.flatMap(s => s.points.map(p => [...single ? [] : [s.name], xOf(p), ...rest.map((_, k) => p[1 + k] ?? null)])) };
}

/* ---- charts: looks. Colour, dash and shape tell series apart; a name looks alike in every chart. ---- */

const MANY = 8, HUES = 7, SHAPES = ["circle", "rect", "triangle", "rectRot", "cross", "triangle", "crossRot"], DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const looks = new Map();
/* A limit, a goal, a peak: a straight line of two points along an axis, beside series that have more. */
const isMark = (c, s) => c.form === "line" && s.points.length === 2 && (s.points[0][0] === s.points[1][0] || s.points[0][1] === s.points[1][1]) &&
  c.series.some(o => o.points.length > 2);
function looksOf(c) {
  const used = new Set(), next = () => { let i = 0; while (used.has(i)) i++; return i; };
  const known = c.series.map(s => { if (isMark(c, s)) return -2; const i = looks.get(s.name), free = i !== undefined && !used.has(i); if (free) used.add(i); return free ? i : -1; });
  return c.series.map((s, n) => {
    if (known[n] === -2) return { hue: HUES, dash: 1, shape: 0, mark: true };
    const i = known[n] < 0 ? next() : known[n], round = Math.floor(i / HUES);
    used.add(i);
    if (!looks.has(s.name)) looks.set(s.name, i);
    return { hue: i % HUES, dash: round % DASHES.length, shape: (i + round * 2) % SHAPES.length };
  });
}
let theme;
function readTheme() {
  const probe = el("i", { hidden: true }), read = name => { probe.style.color = "var(--" + name + ")"; return getComputedStyle(probe).color; };
  document.body.append(probe);
  theme = { ink: read("ink"), soft: read("soft"), line: read("line"), page: read("page"), panel: read("panel"), strong: read("strong"),
    hues: Array.from({ length: HUES + 1 }, (_, i) => read("s" + i)), font: getComputedStyle(document.body).fontFamily };
  probe.remove();
}
const faded = (colour, alpha) => colour.replace("rgb(", "rgba(").replace(")", ", " + alpha + ")");
/* Bars beyond the seventh are hatched, then dotted. */
function barFill(look, colour) {
  if (!look.dash) return colour;
  const tile = document.createElement("canvas"), g = tile.getContext("2d");
  tile.width = tile.height = 6;
  g.strokeStyle = g.fillStyle = colour;
  g.lineWidth = 1.6;
  if (look.dash === 1) for (const d of [-6, 0, 6]) { g.moveTo(d - 1, 7); g.lineTo(d + 7, -1); g.stroke(); }
  else { g.arc(3, 3, 1.7, 0, 7); g.fill(); }
  return g.createPattern(tile, "repeat");
}
function short(text, most) {
  if (columnsOf(text) <= most) return text;
  const letters = [...text];
  while (columnsOf(letters.join("")) >= most) letters.pop();
  return letters.join("") + "…";
}
const isBars = c => c.form === "bars" || c.form === "stacked" || c.form === "ranges";
const lies = c => isBars(c) && (namesOf(c).some(n => columnsOf(n) > 5) || namesOf(c).length > 40);
const isLine = (c, s) => c.form === "line" || c.form === "scatter" && s.joined === true;

function datasets(view) {
  const c = view.c, usable = (v, axis) => isNumber(v) && !(axis.scale === "log" && v <= 0) ? v : null;
  return c.series.map((s, i) => {
    const look = view.looks[i], dim = view.active >= 0 && view.active !== i, hue = theme.hues[look.hue];
    const colour = dim ? faded(hue, isBars(c) ? .25 : .16) : hue, hollow = look.dash > 0;
    const common = { label: s.name, hidden: view.key.hidden.has(i), borderColor: colour, order: view.active === i ? -1 : 0, clip: 6 };
    if (isBars(c)) {
      const data = namesOf(c).map(() => null);
      for (const p of s.points) if (p[0] in data) data[p[0]] = c.form === "ranges" ? [p[1], p[3]] : usable(p[1], c.y);
      return { ...common, data, backgroundColor: c.form === "ranges" ? faded(hue, dim ? .15 : .45) : barFill(look, colour), borderSkipped: false,
        borderColor: c.form === "stacked" ? theme.page : colour, borderWidth: c.form === "stacked" ? .5 : look.dash ? 1 : 0,
        maxBarThickness: 26, categoryPercentage: .82, barPercentage: .94 };
    }
    const joined = isLine(c, s), few = !look.mark && s.points.length <= 40 && (c.form === "scatter" ? !joined : c.series.length > 1 || s.points.length <= 12);
    return { ...common, data: s.points.map(p => ({ x: usable(p[0], c.x), y: usable(p[1], c.y) })), showLine: joined, borderWidth: joined && c.series.length <= 8 ? 2 : 1.5,
      borderDash: joined ? DASHES[c.form === "scatter" ? 1 : look.dash] : [], borderJoinStyle: "round", tension: 0, spanGaps: false,
      pointStyle: SHAPES[look.shape], pointRotation: look.shape === 5 ? 180 : 0, pointRadius: few || !joined ? (c.form === "scatter" ? 5 : 3.5) : 0,
      pointBackgroundColor: hollow ? theme.page : colour, pointBorderColor: colour, pointBorderWidth: 1.5, pointHitRadius: 6,
      pointHoverRadius: 6, pointHoverBackgroundColor: colour, pointHoverBorderColor: theme.page, sparse: !few && !look.mark && joined && c.series.length > 1 };
  });
}

/* What Chart.js has no form for: bands, shapes on long lines, middles of ranges, labels. */
const shown = view => view.c.series.map((_, i) => i).filter(i => view.chart.isDatasetVisible(i));
function drawBands(view, g) {
  const { c, chart } = view, visible = shown(view), { x, y } = chart.scales;
  for (const i of visible) {
    if (visible.length > 6 && view.active !== i) continue;
    g.fillStyle = faded(theme.hues[view.looks[i].hue], view.active >= 0 && view.active !== i ? .04 : visible.length > 3 ? .12 : .17);
    let run = [];
    const flush = () => {
      g.beginPath();
      for (const p of run) g.lineTo(x.getPixelForValue(p[0]), y.getPixelForValue(p[3]));
      for (const p of run.reverse()) g.lineTo(x.getPixelForValue(p[0]), y.getPixelForValue(c.y.scale === "log" ? Math.max(p[2], y.min) : p[2]));
      g.fill();
      run = [];
    };
    for (const p of c.series[i].points) bandOf(c, p) && isNumber(p[0]) ? run.push(p) : flush();
    flush();
  }
}
function drawShapes(view, i, g) {
  const dataset = view.chart.data.datasets[i], points = view.chart.getDatasetMeta(i).data;
  if (!dataset.sparse) return;
  const step = Math.max(Math.floor(points.length / 6), 1), n = view.c.series.length;
  for (let k = Math.floor(step * (i + .5) / n); k < points.length; k += step)
    if (!points[k].skip) {
      Object.assign(g, { fillStyle: dataset.pointBackgroundColor, strokeStyle: dataset.borderColor, lineWidth: 1.5 });
      Chart.helpers.drawPoint(g, { pointStyle: dataset.pointStyle, rotation: dataset.pointRotation, radius: 3.5, borderWidth: 1.5 }, points[k].x, points[k].y);
    }
}
function drawMiddles(view, g) {
  const { c, chart } = view, scale = chart.scales[lies(c) ? "x" : "y"];
  for (const i of shown(view))
    for (const p of c.series[i].points) {
      const bar = chart.getDatasetMeta(i).data[p[0]];
      if (!bar || !isNumber(p[2])) continue;
      const mark = scale.getPixelForValue(p[2]), half = (lies(c) ? bar.height : bar.width) / 2;
      const line = lies(c) ? [mark, bar.y - half, mark, bar.y + half] : [bar.x - half, mark, bar.x + half, mark];
      const ink = c.series.length > 1 ? theme.hues[view.looks[i].hue] : theme.ink;
      for (const [width, colour] of [[5, theme.page], [2.5, view.active >= 0 && view.active !== i ? theme.strong : ink]]) {
        Object.assign(g, { lineWidth: width, strokeStyle: colour });
        g.beginPath(); g.moveTo(line[0], line[1]); g.lineTo(line[2], line[3]); g.stroke();
      }
    }
}
const valueBeside = c => (c.form === "bars" || c.form === "ranges") && c.series.length === 1 && lies(c);
function drawValues(view, g) {
  Object.assign(g, { font: "12px " + theme.font, fillStyle: theme.ink, textBaseline: "middle", textAlign: "left" });
  const points = view.c.series[0].points, values = points.map(p => yOf(view.c, p)), write = columnWriter(values, 3);
  if (values.length > 1 && values.every(v => v === values[0])) return;
  for (const p of points) {
    const bar = view.chart.getDatasetMeta(0).data[p[0]];
    if (bar && isNumber(yOf(view.c, p))) g.fillText(write(yOf(view.c, p)), Math.max(bar.x, bar.base) + 6, bar.y);
  }
}
/* Labels of scattered points where there is room for them. */
function drawLabels(view, g) {
  const { c, chart } = view, area = chart.chartArea, placed = [];
  Object.assign(g, { font: "11.5px " + theme.font, textBaseline: "middle", textAlign: "left" });
  const spots = shown(view).flatMap(i => chart.getDatasetMeta(i).data.map((e, k) => ({ x: e.x, y: e.y, i, text: !isLine(c, c.series[i]) && c.series[i].points[k][2] || "" })));
  const hits = b => placed.some(o => b[0] < o[2] && b[2] > o[0] && b[1] < o[3] && b[3] > o[1]) ||
    spots.some(s => s.x > b[0] - 6 && s.x < b[2] + 6 && s.y > b[1] - 5 && s.y < b[3] + 5);
  for (const s of spots.filter(s => s.text).slice(0, 60)) {
    const text = short(s.text, 28), w = g.measureText(text).width;
    const box = [[9, -6], [-w - 9, -6], [-w / 2, -19], [-w / 2, 8], [7, -18], [7, 6], [-w - 7, -18], [-w - 7, 6]].map(([dx, dy]) => [s.x + dx, s.y + dy, s.x + dx + w, s.y + dy + 12])
      .find(b => b[0] >= area.left && b[2] <= chart.width && b[1] >= 0 && b[3] <= area.bottom && !hits(b));
    if (!box) continue;
    placed.push(box);
    g.fillStyle = view.active >= 0 && view.active !== s.i ? theme.strong : theme.ink;
    g.fillText(text, box[0], box[1] + 6);
  }
}
const overlay = view => ({ id: "overlay",
  beforeInit: chart => { view.chart = chart; }, /* it draws before its constructor is done */
  beforeDatasetsDraw: ({ ctx: g, chartArea: a }) => {
    if (view.c.form !== "line") return;
    g.save(); g.beginPath(); g.rect(a.left, a.top, a.width, a.height); g.clip();
    drawBands(view, g);
    g.restore();
  },
  afterDatasetDraw: ({ ctx: g }, args) => { g.save(); g.setLineDash([]); drawShapes(view, args.index, g); g.restore(); },
  afterDatasetsDraw: ({ ctx: g }) => {
    g.save();
    if (view.c.form === "ranges") drawMiddles(view, g);
    if (view.c.form === "scatter") drawLabels(view, g);
    if (valueBeside(view.c)) drawValues(view, g);
    g.restore();
  } });

function axisOptions(view, which) {
  const c = view.c, axis = c[which], lying = lies(c), upright = which === "y";
  const names = axis.scale === "names", log = axis.scale === "log";
  const options = { type: names ? "category" : log ? "logarithmic" : "linear", grid: { color: theme.line, drawBorder: false, tickLength: 4, display: !names },
    ticks: { color: theme.soft, font: { size: 12 }, maxRotation: namesOf(c).some(n => columnsOf(n) > 5) ? 50 : 0, padding: 3, autoSkipPadding: 14, includeBounds: false, autoSkip: !(names && lying), maxTicksLimit: names ? undefined : upright ? 7 : 9 } };
  if (!upright || lying) options.title = { display: Boolean(axis.title || axis.unit) && !(names && lying), text: titled(axis), color: theme.soft, align: "end", font: { size: 12.5 } };
  if (names) return { ...options, labels: namesOf(c).map(n => short(n, lying ? 26 : 16)), offset: isBars(c) };
  if (isNumber(axis.min)) options.min = axis.min;
  if (isNumber(axis.max)) options.max = axis.max;
  options.ticks.callback = v => log || Math.abs(v) < 1e6 ? number(v) : new Intl.NumberFormat(lang, { notation: "compact" }).format(v);
  options.afterDataLimits = s => upright ? upLimits(view, s) : isBars(c) ? null : sideLimits(c, s);
  if (log || c.form === "line" && !upright) options.bounds = "data";
  if (options.bounds) options.afterBuildTicks = s => { s.ticks = (log ? logTicks : roundTicks)(s.min, s.max).map(value => ({ value })); };
  return options;
}
function roundTicks(min, max) {
  const rough = (max - min) / 8, unit = 10 ** power(rough), step = unit * [1, 2, 5, 10].find(f => f * unit >= rough), from = Math.ceil(min / step - 1e-6);
  return Array.from({ length: Math.floor(max / step + 1e-6) - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}
function logTicks(min, max) {
  const all = [], decades = Math.log10(max / min), factors = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
  for (let d = power(min); d <= power(max); d++) for (const f of factors) if (f * 10 ** d >= min * .999 && f * 10 ** d <= max * 1.001) all.push(f * 10 ** d);
  return all.length > 10 ? all.filter((_, i) => i % Math.ceil(all.length / 10) === 0) : all;
}
function sideLimits(c, s) { /* a line goes from edge to edge, points stand apart from it */
  if (c.form === "scatter") {
    if (c.x.scale !== "log") return;
    if (!isNumber(c.x.min)) s.min /= 1.1;
    if (!isNumber(c.x.max)) s.max *= 1.1;
    return;
  }
  const xs = c.series.flatMap(o => o.points.map(p => p[0])).filter(v => isNumber(v) && !(c.x.scale === "log" && v <= 0));
  if (!xs.length) return;
  if (!isNumber(c.x.min)) s.min = xs.reduce((a, b) => Math.min(a, b));
  if (!isNumber(c.x.max)) s.max = xs.reduce((a, b) => Math.max(a, b));
  if (c.x.scale !== "log" && !isNumber(c.x.min) && s.min > 0 && s.min < .2 * s.max) s.min = 0;
  if (s.min === s.max) { s.min -= Math.abs(s.min) / 2 || 1; s.max += Math.abs(s.max) / 2 || 1; }
}
function upLimits(view, s) { /* bands are seen whole; zero is there unless it is far off */
  const { c } = view, log = c.y.scale === "log";
  for (const i of shown(view))
    for (const p of c.series[i].points)
      for (const v of bandOf(c, p) || [])
        if (!log || v > 0) { if (!isNumber(c.y.min)) s.min = Math.min(s.min, v); if (!isNumber(c.y.max)) s.max = Math.max(s.max, v); }
  if (!log && !isNumber(c.y.min) && s.min > 0 && (s.min < .7 * s.max || c.form === "bars" || c.form === "stacked")) s.min = 0;
  if (log && !isNumber(c.y.min)) s.min /= isBars(c) ? 2 : 1.1;
  if (log && !isNumber(c.y.max)) s.max *= 1.1;
  s.max = Number(s.max.toPrecision(9)); /* shares that sum up to a little more than 100 % */
}

function options(view) {
  const c = view.c, lying = lies(c), n = c.series.length, bars = isBars(c);
  const same = n > 1 && n <= 8 && c.form === "line" && sameX(c);
  const point = item => c.series[item.datasetIndex].points.find((p, k) => bars ? p[0] === item.dataIndex : k === item.dataIndex);
  const label = item => {
    const s = c.series[item.datasetIndex], p = point(item), band = bandOf(c, p), x = c.form === "scatter" ? titled(c.x) + ": " + number(p[0]) + ", " : "";
    return (n > 1 && s.name ? s.name + ": " : "") + x + yText(c, yOf(c, p)) + (band ? " [" + number(band[0]) + ", " + number(band[1]) + "]" : "");
  };
  const title = items => !items.length ? "" : c.form === "scatter" ? point(items[0])[2] || "" :
    c.x.scale === "names" ? String(namesOf(c)[point(items[0])[0]]) : (c.x.title ? c.x.title + " " : "") + xText(c, point(items[0])[0]);
  return { animation: false, responsive: true, maintainAspectRatio: false, locale: lang, indexAxis: lying ? "y" : "x", ...bars ? {} : { parsing: false, normalized: c.form === "line" },
    devicePixelRatio: printing ? 2 : undefined, font: { family: theme.font },
    layout: { padding: { top: 6, right: valueBeside(c) ? 52 : 10 } },
    interaction: { intersect: false, mode: same || bars && n <= 8 ? "index" : "nearest", axis: bars ? (lying ? "y" : "x") : same ? "x" : "xy" },
    plugins: { legend: { display: false }, tooltip: { enabled: !printing, backgroundColor: theme.ink, titleColor: theme.page, bodyColor: theme.page, cornerRadius: 3, padding: 8,
      usePointStyle: true, boxPadding: 4, titleFont: { family: theme.font }, bodyFont: { family: theme.font }, callbacks: { label, title,
        labelPointStyle: item => ({ pointStyle: bars ? "rect" : SHAPES[view.looks[item.datasetIndex].shape], rotation: 0 }),
        labelColor: item => { const colour = theme.hues[view.looks[item.datasetIndex].hue]; return { borderColor: theme.page, backgroundColor: colour }; } } } },
    scales: scales(view) };
}
function scales(view) {
  const lying = lies(view.c), stacked = view.c.form === "stacked", x = axisOptions(view, "x"), y = axisOptions(view, "y");
  return lying ? { x: { ...y, stacked }, y: { ...x, stacked } } : { x: { ...x, stacked }, y: { ...y, stacked } };
}

/* ---- charts: their places on the page; drawn when they come near ---- */

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
  view.chart.data.datasets.forEach((d, i) => Object.assign(d, { ...datasets(view)[i], data: d.data }));
  view.chart.update();
}
const others = (c, i) => new Set(c.series.map((_, k) => k).filter(k => k !== i));
/* A key is a legend of one chart, or of several with the same series. */
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
function everywhere(key) {
  const names = new Set(key.series.map(s => s.name)), off = new Set([...key.hidden].map(i => key.series[i].name));
  for (const k of new Set(views.map(v => v.key)))
    if (k !== key && k.knobs.length)
      choose(k, new Set(k.series.map((_, i) => i).filter(i => names.has(k.series[i].name) ? off.has(k.series[i].name) : k.hidden.has(i))));
}
function swatch(view, i) {
  const { hue, dash, shape } = view.looks[i], kind = isBars(view.c) ? "block" : view.looks[i].mark ? "bare" : isLine(view.c, view.c.series[i]) ? "" : "dots";
  const mark = el("span", { class: `swatch ${kind} dash${dash} shape${shape}`, "aria-hidden": "true" });
  mark.style.setProperty("--c", `var(--s${hue})`);
  return mark;
}
/* Buttons that show and hide series; one stop for Tab, arrows go from one to the next. */
function legend(view) {
  const { key, c } = view, many = c.series.length > MANY;
  if (c.series.length < 2) return el("div");
  const entries = c.series.map((s, i) => {
    const knob = button("key", () => { const h = new Set(key.hidden); h.delete(i) || h.add(i); choose(key, h); },
      { "aria-pressed": String(!key.hidden.has(i)), title: s.name.length > 20 ? s.name : null,
        focus: e => e.target.matches(":focus-visible") && light(key, i), blur: () => view.active === i && light(key, -1) },
      swatch(view, i), el("span", null, s.name));
    const only = many ? button("only tool", () => choose(key, others(c, i)), { "aria-label": fill(W.onlyThis, s.name) }, W.only) : null;
    key.knobs.push(knob);
    return el("div", { class: "entry", pointerenter: e => e.pointerType === "mouse" && light(key, i), pointerleave: () => view.active === i && light(key, -1) }, knob, only);
  });
  const row = many ? [el("div", { class: "row" }, button("tool", () => choose(key, new Set()), null, W.all),
    button("tool", () => choose(key, others(c, -1)), null, W.none), button("tool", () => everywhere(key), null, W.everywhere))] : [];
  const box = el("div", { class: "legend" + (many ? " many" : ""), role: "toolbar", "aria-label": W.series + ": " + c.title }, ...entries, ...row);
  const stops = [...box.querySelectorAll("button")];
  const rove = to => stops.forEach((b, i) => b.setAttribute("tabindex", i === to ? "0" : "-1"));
  box.addEventListener("keydown", e => {
    const from = stops.indexOf(document.activeElement), step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    const to = e.key === "Home" ? 0 : e.key === "End" ? stops.length - 1 : step ? (from + step + stops.length) % stops.length : -1;
    if (to >= 0) { e.preventDefault(); rove(to); stops[to].focus(); }
  });
  rove(0);
  return box;
}
/* Left and right go from point to point, up and down from series to series, with Shift ten at once. */
function walk(view, e) {
  const { c, chart } = view, spot = view.at, step = e.shiftKey ? 10 : 1;
  const visible = chart ? shown(view) : [];
  if (!visible.length || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Escape"].includes(e.key)) return;
  e.preventDefault();
  if (e.key === "Escape") return point(view, null);
  if (!visible.includes(spot.series)) spot.series = visible[0];
  if (e.key === "ArrowUp" || e.key === "ArrowDown") spot.series = visible[(visible.indexOf(spot.series) + (e.key === "ArrowUp" ? -1 : 1) + visible.length) % visible.length];
  const last = c.series[spot.series].points.length - 1, next = visible[visible.indexOf(spot.series) + (e.key === "ArrowLeft" ? -1 : 1)];
  if (c.form === "scatter" && next !== undefined && (e.key === "ArrowRight" && spot.index === last || e.key === "ArrowLeft" && spot.index === 0))
    return point(view, Object.assign(spot, { series: next, index: e.key === "ArrowLeft" ? c.series[next].points.length - 1 : 0 }));
  spot.index = e.key === "Home" ? 0 : e.key === "End" ? last : spot.index + (e.key === "ArrowLeft" ? -step : e.key === "ArrowRight" ? step : 0);
  spot.index = Math.min(Math.max(spot.index, 0), last);
  point(view, spot);
}
function point(view, spot) {
  const { c, chart } = view, p = spot && c.series[spot.series].points[spot.index];
  const active = p ? [{ datasetIndex: spot.series, index: isBars(c) ? p[0] : spot.index }] : [];
  chart.setActiveElements(active);
  chart.tooltip.setActiveElements(active, { x: 0, y: 0 });
  chart.update();
  if (p) tell((c.series.length > 1 ? c.series[spot.series].name + ". " : "") + pointText(c, c.series[spot.series], p));
}
function heightOf(c) {
  if (!lies(c)) return c.series.length > 8 ? 340 : 280;
  const bars = c.form === "stacked" ? 1 : Math.min(c.series.length, 6);
  return Math.max(namesOf(c).length * (bars === 1 ? 25 : 9 * bars + 10) + 50, 130);
}
/* keys: the legends of the charts beside it, one of which may be its own too */
function chartView(c, keys) {
  const id = unique(c.id), canvas = el("canvas", { role: "img", tabindex: "0", "aria-label": describe(c) });
  const names = c.series.map(s => s.name).join("\n"), shared = c.series.length > MANY && keys.find(k => k.names === names && k.bars === isBars(c));
  const view = { c, id, canvas, chart: null, looks: looksOf(c), active: -1, at: { series: 0, index: -1 }, key: shared || { names, bars: isBars(c),
    series: c.series, views: [], knobs: [], hidden: new Set(c.series.map((s, i) => s.own === false ? i : -1).filter(i => i >= 0)) } };
  view.key.views.push(view);
  keys.push(view.key);
  canvas.addEventListener("keydown", e => walk(view, e));
  canvas.addEventListener("blur", () => view.chart && point(view, null));
  const data = el("div", { class: "data", id: id + "-data", hidden: hasCharts });
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
  }, { "aria-expanded": "false", "aria-controls": data.id, "aria-label": null }, W.show);
  const plot = el("div", { class: "plot" }, canvas), upright = lies(c) || !c.y.title && !c.y.unit ? null : titled(c.y);
  plot.style.setProperty("--height", heightOf(c) + "px");
  view.figure = el("figure", { class: lies(c) ? "chart lying" : "chart", id, "aria-labelledby": id + "-title" },
    el("div", null, el("h3", { id: id + "-title" }, c.title), c.note ? el("p", { class: "note" }, prose(c.note)) : null),
    hasCharts && view.key.views.length === 1 ? legend(view) : el("div"), el("div", { class: "upright" }, hasCharts && upright ? upright : ""), hasCharts ? plot : el("div"),
    el("div", { class: "tools" }, hasCharts ? toggle : null, saver(id, c.title, () => chartTable(c, false)), data));
  views.push(view);
  return view.figure;
}
/* Two in a row; a legend of many series goes above all that share it, and a chart that has one of its own is as wide as two. */
function chartsView(charts) {
  const keys = [], box = el("div", { class: "charts" }), all = charts.map(c => chartView(c, keys));
  for (const view of views.filter(v => all.includes(v.figure))) {
    const many = view.c.series.length > MANY, bar = view.figure.querySelector(".legend");
    view.figure.classList.toggle("wide", many && view.key.views.length === 1);
    if (many && bar && view.key.views.length > 1) { bar.replaceWith(el("div")); box.append(bar); }
    box.append(view.figure);
  }
  const narrow = all.filter(f => !f.classList.contains("wide"));
  if (narrow.length % 2) narrow[narrow.length - 1].classList.add("wide"); /* the last one, alone in its row */
  return box;
}
