#!/usr/bin/python3
"""Looks at reports (`kvsim report`) in a browser without a screen: check_report.py [--quick] [--out DIR] [--within MS] FILE.html...
Desktop and phone, light and dark, paper, keyboard, no JavaScript. One line per finding; exit 1 when there is any."""
import argparse
import base64
import json
import os
import pathlib
import re
import statistics
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

MAX_BYTES = 2_000_000
DESKTOP, PHONE = (1280, 900, False), (390, 844, True)
MAX_STOPS = 600  # of the Tab key

# Texts whose contrast with what lies behind them is below 4.5 : 1 (WCAG AA), each kind once.
CONTRAST = r"""
const channel = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
const parse = t => t.match(/[\d.]+/g).map(Number), light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > .5) return c; } return [255, 255, 255]; };
const found = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let n; (n = walk.nextNode());) {
  const e = n.parentElement;
  if (!n.data.trim() || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.closest("script, noscript")) continue;
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
  if (ratio < 4.5) found.add(e.tagName.toLowerCase() + "." + e.className + " " + ratio.toFixed(2));
}
return [...found];
"""
STOP = r"""
const e = document.activeElement, kind = e.id === "skip" ? "skip link" : e.closest("nav") ? "contents" : e.closest("th") ? "sort" : e.closest("[role=toolbar]") ? "legend"
  : e.tagName === "CANVAS" ? "chart" : e.closest(".code") && e.tagName === "BUTTON" ? "copy" : e.tagName === "SUMMARY" ? "fold" : e.tagName === "INPUT" ? "filter"
  : e.closest("header") ? "theme" : e.hasAttribute("aria-expanded") ? "data" : e.classList.contains("tool") ? "csv" : e === document.body ? "" : "other";
const s = getComputedStyle(e);
return [kind, kind === "" || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0];
"""
TOLD = """
const t = Chart.getChart(arguments[0]).tooltip;
return [document.getElementById("live").textContent, (t.title || []).join(), (t.body || []).map(b => b.lines.join()).join(), t.opacity];
"""
THERE = {"skip link": "#skip", "contents": "nav a", "sort": "th button", "legend": "[role=toolbar]", "chart": "canvas", "copy": ".code button",
         "fold": "main summary", "filter": "input", "theme": "header button", "data": "[aria-expanded]"}


def name_of(element):
    return (element.get_attribute("aria-label") or "without a name")[:60]


class Check:
    def __init__(self, out, within):
        self.out, self.within, self.passed, self.failed = out, within, 0, 0
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-dev-shm-usage") + (("--no-sandbox",) if os.geteuid() == 0 else ()):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.d = webdriver.Chrome(options=options)
        self.d.set_script_timeout(60)
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(out))

    def cdp(self, command, **arguments):
        return self.d.execute_cdp_cmd(command, arguments)

    def js(self, script, *arguments):
        return self.d.execute_script(script, *arguments)

    def that(self, ok, what):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print(f"{self.where}: {what}")

    def until(self, script, *arguments):
        end = time.monotonic() + 10
        while not (found := self.js(script, *arguments)) and time.monotonic() < end:
            time.sleep(.02)
        return found

    def keys(self, *keys):
        ActionChains(self.d, duration=0).send_keys(*keys).perform()

    # ---- loading: nothing said on the console, nothing asked of a network ----

    def load(self, path, size, dark=False, media=""):
        width, height, mobile = size
        self.path, self.where = path, f"{path.name} {width} {'dark' if dark else 'light'}"
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        for log in ("browser", "performance"):
            self.d.get_log(log) # of the page before
        self.d.get(path.resolve().as_uri())

    def quiet(self):
        for line in self.d.get_log("browser"):
            self.that(line["level"] not in ("SEVERE", "WARNING"), f"console: {line['message']}")
        own, asked = self.path.resolve().as_uri(), []
        for line in self.d.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"].split("#")[0])
        others = [u for u in asked if u != own and not u.startswith(("data:", "blob:"))]
        self.that(not others, f"asks for {others[:3]}")

    def draw_all(self):
        canvases = self.d.find_elements("css selector", "canvas")
        for c in canvases:
            self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", c)
            self.that(self.until("return Boolean(Chart.getChart(arguments[0]))", c), f"not drawn: {name_of(c)}")
        self.js("scrollTo({top: 0, behavior: 'instant'})")
        return canvases

    def picture(self, name):
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        (self.out / f"{self.path.stem}-{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def looks(self, path, size, dark):
        self.load(path, size, dark)
        self.draw_all()
        wide = self.js("return document.documentElement.scrollWidth - innerWidth")
        self.that(wide <= 0, f"the page scrolls sideways by {wide} px")
        for text in self.js(CONTRAST):
            self.that(False, f"contrast: {text}")
        self.picture(f"{size[0]}-{'dark' if dark else 'light'}")
        self.quiet()

    def structure(self):
        ids = self.js("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        self.that(len(ids) == len(set(ids)), f"ids that are not unique: {sorted({i for i in ids if ids.count(i) > 1})[:3]}")
        levels = self.js("return [...document.querySelectorAll('h1, h2, h3')].map(e => Number(e.tagName[1]))")
        self.that(levels[:1] == [1] and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), f"order of headings: {levels}")
        for what in ("canvas", "button", "table", "[role=region]", "[role=toolbar]", "input"):
            nameless = self.js("return [...document.querySelectorAll(arguments[0])].filter(e => !(e.getAttribute('aria-label') || e.textContent).trim()).length", what)
            self.that(nameless == 0, f"{nameless} {what} without a name")
        self.that(self.js("return document.documentElement.lang") in ("en", "ja"), "no language")
        if self.js("return document.documentElement.lang") == "ja":
            english = self.js("return [...document.querySelectorAll('.tool')].filter(e => !/[\\u3040-\\u30ff\\u4e00-\\u9fff]/.test(e.textContent + e.ariaLabel)).map(e => e.textContent)")
            self.that(not english, f"words that are not translated: {sorted(set(english))[:5]}")

    # ---- keyboard ----

    def walk(self):
        self.js("document.activeElement.blur(); scrollTo(0, 0)")
        reached, lacking = set(), set()
        for _ in range(MAX_STOPS):
            self.keys(Keys.TAB)
            kind, outlined = self.js(STOP)
            if kind == "" or (kind == "skip link" and reached):
                break
            reached.add(kind)
            if not outlined:
                lacking.add(kind)
        expected = {k for k, selector in THERE.items() if self.js("return [...document.querySelectorAll(arguments[0])].some(e => e.checkVisibility())", selector)}
        self.that(expected <= reached, f"Tab does not reach: {sorted(expected - reached)}")
        self.that(not lacking, f"focus is not seen on: {sorted(lacking)}")
        self.js("document.getElementById('skip').focus()")
        self.keys(Keys.ENTER)
        self.that(self.js("return document.activeElement.id") == "main", "the skip link does not lead to the report")

    def column(self, table, j):
        texts = self.js("return [...arguments[0].tBodies[0].rows].map(r => r.cells[arguments[1]].textContent)", table, j)
        number = [float(t.replace(",", "").replace("\u2212", "-")) for t in texts if re.fullmatch(r"\u2212?[\d,.]+(e[\u2212+]?\d+)?", t)]
        return number, texts

    def sorting(self):
        for table in self.d.find_elements("css selector", "main .scroll > table"):
            heads = self.js("return [...arguments[0].tHead.rows[0].cells].map(h => Boolean(h.querySelector('button')) && h.classList.contains('number') && h.checkVisibility())", table)
            for j in [j for j, sortable in enumerate(heads) if sortable]:
                head = table.find_elements("css selector", "thead th")[j]
                before = self.column(table, j)[1]
                self.js("arguments[0].querySelector('button').focus()", head)
                for direction, descends in (("ascending", False), ("descending", True)):
                    self.keys(Keys.ENTER)
                    numbers, _ = self.column(table, j)
                    self.that(head.get_attribute("aria-sort") == direction, f"aria-sort is not {direction}")
                    self.that(numbers == sorted(numbers, reverse=descends), f"column {head.text!r} is not {direction}: {numbers[:8]}")
                self.keys(Keys.ENTER)
                self.that(head.get_attribute("aria-sort") is None and self.column(table, j)[1] == before, "the third press does not bring the first order back")

    def charts(self, canvases):
        for c in canvases:
            self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'}); arguments[0].focus()", c)
            told = []
            for key in (Keys.HOME, Keys.ARROW_RIGHT, Keys.END):
                self.keys(key)
                told.append(self.js(TOLD, c))
            points = self.js("return Math.max(...Chart.getChart(arguments[0]).data.datasets.map(d => d.data.length))", c)
            self.that(told[0][0] and told[0][3] == 1, f"arrows show no tooltip: {name_of(c)}")
            self.that(points < 2 or told[0][:3] != told[2][:3], f"arrows do not move the tooltip: {name_of(c)}: {told}")
        for bar in self.d.find_elements("css selector", "[role=toolbar]"):
            key = bar.find_element("css selector", "[aria-pressed]")
            before = key.get_attribute("aria-pressed")
            self.js("arguments[0].focus()", key)
            self.keys(Keys.SPACE)
            self.that(key.get_attribute("aria-pressed") != before, "Space does not toggle a series")
            self.keys(Keys.SPACE)
            self.keys(Keys.ARROW_RIGHT)
            self.that(self.js("return document.activeElement !== arguments[0] && arguments[1].contains(document.activeElement)", key, bar), "arrows do not walk the legend")

    def opens(self):
        """Data tables and folded ones, CSV files, the other theme."""
        self.js("document.querySelectorAll('main [aria-expanded]').forEach(b => b.click()); document.querySelectorAll('main details').forEach(d => { d.open = true; })")
        self.that(self.js("return [...document.querySelectorAll('.data')].every(d => d.querySelector('tbody'))"), "a chart's data table is not shown")
        for old in self.out.glob("*.csv"):
            old.unlink()
        savers = self.d.find_elements("css selector", ".tools > .tool:not([aria-expanded]), .bar > .tool")
        for saver in savers[:1] + savers[-1:]:
            self.js("arguments[0].click()", saver)
            end = time.monotonic() + 10
            while not (files := list(self.out.glob("*.csv"))) and time.monotonic() < end:
                time.sleep(.05)
            self.that(files and len(files[0].read_text("utf-8").splitlines()) > 1, "CSV saves nothing")
            for f in files:
                f.unlink()
        dark = self.js("return getComputedStyle(document.body).backgroundColor")
        self.js("document.querySelector('header button').click()")
        self.that(self.js("return getComputedStyle(document.body).backgroundColor") != dark, "the other theme does not come")
        wide = self.js("return document.documentElement.scrollWidth - innerWidth")
        self.that(wide <= 0, f"with all tables open the page scrolls sideways by {wide} px")
        self.quiet()

    def paper(self, path):
        self.load(path, DESKTOP, dark=True)
        self.where = f"{path.name} paper"
        pdf = self.cdp("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        (self.out / f"{path.stem}.pdf").write_bytes(base64.b64decode(pdf["data"]))
        self.cdp("Emulation.setEmulatedMedia", media="print")
        drawn = self.until("return matchMedia('print').matches && [...document.querySelectorAll('canvas')].every(c => Chart.getChart(c))")
        self.that(drawn, "charts are not drawn")
        seen = self.js("return [...document.querySelectorAll('button, input')].filter(b => b.checkVisibility() && !b.closest('th') && !b.classList.contains('key')).map(b => b.textContent)")
        self.that(not seen, f"buttons: {seen[:5]}")
        self.that(self.js("return [...document.querySelectorAll('main details')].every(d => d.open)"), "something is folded")
        self.that(self.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", "it is not light")
        for text in self.js(CONTRAST):
            self.that(False, f"contrast: {text}")
        self.quiet()

    def bare(self, path):
        self.cdp("Emulation.setScriptExecutionDisabled", value=True)
        self.load(path, DESKTOP)
        self.cdp("Emulation.setScriptExecutionDisabled", value=False)
        self.that("JavaScript" in self.d.find_element("tag name", "noscript").text, "says nothing without JavaScript")

    def speed(self, path):
        ready, first = [], []
        for _ in range(5):
            self.load(path, DESKTOP)
            self.that(self.until("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd > 0"), "it does not load")
            ready.append(self.js("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
            first.append(self.js("return (performance.getEntriesByName('first-chart')[0] || {startTime: 0}).startTime"))
        ready, first = statistics.median(ready), statistics.median(first)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, DOMContentLoaded {ready:.0f} ms, first chart {first:.0f} ms (median of 5)")
        self.that(not self.within or max(ready, first) < self.within, f"slower than {self.within:.0f} ms")

    def file(self, path, quick):
        for size, dark in ((DESKTOP, True), (PHONE, False)) if quick else ((s, d) for s in (DESKTOP, PHONE) for d in (False, True)):
            self.looks(path, size, dark)
        self.that(path.stat().st_size <= MAX_BYTES, f"{path.stat().st_size} bytes, more than {MAX_BYTES}")
        self.load(path, DESKTOP)
        canvases = self.draw_all()
        self.structure()
        self.walk()
        self.sorting()
        self.charts(canvases)
        self.opens()
        self.structure()
        self.paper(path)
        self.bare(path)
        if not quick:
            self.speed(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="build/check-report", type=pathlib.Path, help="folder of the pictures")
    parser.add_argument("--quick", action="store_true", help="two looks in place of four, no times")
    parser.add_argument("--within", default=0, type=float, help="milliseconds until a page stands, 0 = any")
    parser.add_argument("file", nargs="+", type=pathlib.Path)
    a = parser.parse_args()
    for path in a.file:
        if not path.is_file():
            parser.error(f"{path}: no such file")
    a.out.mkdir(parents=True, exist_ok=True)
    check = Check(a.out.resolve(), a.within)
    try:
        for path in a.file:
            check.file(path, a.quick)
    finally:
        check.d.quit()
    print(f"{check.passed} passed, {check.failed} failed; pictures in {a.out}")
    return 1 if check.failed else 0


sys.exit(main())
