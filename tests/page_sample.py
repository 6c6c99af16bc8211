#!/usr/bin/python3
"""A document (experiments/report/doc.h) with every part, tone and form of chart, odd numbers and hostile texts:
page_sample.py [SERIES [POINTS]] >report.json. The figures are made up; 20 500 makes a page as large as reports get."""
import json
import math
import sys

SERIES, POINTS = (list(map(int, sys.argv[1:])) + [20, 500][len(sys.argv) - 1:])[:2]
HOSTILE = '</script><img onerror="alert(1)">{0} & "quoted", \u202e'
STRATEGIES = ["full", "fp8", "kivi4", "kivi2", "freekv:budget=1024", "freekv:budget=2048", "snapkv", "h2o", "streaming",
              "quest", "pyramid", "offload", "offload-cpu", "cacheblend", "prefix", "lookahead", "infini", "retrieval",
              "double-sparse", "adaptive"]
NAMES = [STRATEGIES[i % len(STRATEGIES)] + ("" if i < len(STRATEGIES) else f"-{i}") for i in range(SERIES)]


def text(tone, template, *args):
    return {"kind": "text", "tone": tone, "text": [template, *args]}


def axis(title, unit="", scale="linear", names=None):
    return {"title": title, "unit": unit, "scale": scale, **({"names": names} if names else {})}


def series(name, points, own=True, joined=False):
    return {"name": name, "points": points, "own": own, "joined": joined}


def chart(name, title, note, form, x, y, *all_series):
    return {"kind": "chart", "id": name, "title": title, "note": note, "form": form, "x": x, "y": y, "series": list(all_series)}


def columns(*named):
    return [{"name": n, "unit": u, "digits": 4, "text": u is None} if u is not None else {"name": n, "unit": "", "digits": 4, "text": True}
            for n, u in named]


def table(name, title, head, rows, folded=False):
    return {"kind": "table", "id": name, "title": title, "folded": folded, "columns": columns(*head), "rows": rows}


def wave(i, k):
    return round(40 + 25 * math.sin(k / 37 + i) + 8 * math.sin(k / 5.3 + 2 * i) + 1.5 * i, 2)


def answer():
    checks = [["throughput", "21 -> 55 req/s needed, 68 predicted", "+ PASS"], ["SLA default", "99.4 [99.1, 99.6] % of 99", "+ PASS"],
              ["critical cases", "0 of 420 failed, need 3,000 without a failure", "? UNKNOWN"], ["payback", "11 of 36 months", "- FAIL"]]
    best = [[i + 1, ["H200", "H100", "A100"][i % 3], 1 + i % 2, n, 16 + 2 * i, 53300 + 1931.5 * i, 0.31 + 0.013 * i, 640 - 5 * i, 31 - .4 * i,
             round(1.24 - .01 * i, 3), None if i == 1 else .9 * i / 7, "" if i == 0 else "+8 GPUs: KV memory"] for i, n in enumerate(NAMES[:5])]
    head = [("#", ""), ("GPU", None), ("TP", ""), ("strategy", None), ("GPUs", ""), ("a month", "USD"), ("1,000 good answers", "USD"),
            ("p99 TTFT", "ms"), ("p99 TPOT", "ms"), ("headroom", "x"), ("negative", "%"), ("why not", None)]
    return [text("plain", "Buy {0} servers ({1} x H200, 1 spare), freekv, TP 1. USD 1.92M over 36 months; saves 0.41M [0.12, 0.66], payback 11 months", "2", "16"),
            table("checks", "Four checks", [("check", None), ("figures", None), ("", None)], checks), table("best", "Best candidates", head, best),
            text("warn", "{0} of its GPU time is extrapolated: measure first.", "34 %"),
            text("good", "Every class meets its level in {0} of 8 replications.", "8"), text("soft", "Next: kvsim pilot plan.yaml"), text("heading", "How sure it is"),
            {"kind": "facts", "items": [{"name": "P(saving > 0)", "value": .93, "lo": None, "hi": None, "unit": ""},
                                        {"name": "saving", "value": 412000, "lo": 120000, "hi": 660000, "unit": "USD"},
                                        {"name": "error", "value": 3.1e-7, "lo": None, "hi": None, "unit": ""},
                                        {"name": "unknown", "value": None, "lo": None, "hi": None, "unit": "ms"},
                                        {"name": HOSTILE, "value": -12.5, "lo": -20, "hi": -5.25, "unit": "%"}]}]


def curves():
    loads = [1, 2, 4, 8, 12, 16, 24, 32]
    sla = [series(n, [[x, 100 / (1 + (x / (10 + 2 * i)) ** 4), 96 / (1 + (x / (10 + 2 * i)) ** 4), min(100, 103 / (1 + (x / (10 + 2 * i)) ** 4))]
                      for x in loads], i != 2) for i, n in enumerate(NAMES)]
    cdf = [series(n, [[round(80 * math.exp(2.2 * q + .1 * i + .3 * math.sin(q * 9)), 1), round(100 * q, 1)] for q in (k / 200 for k in range(201))])
           for i, n in enumerate(NAMES[:6])] + [series("limit", [[700, 0], [700, 100]])]
    dots = [series("candidates", [[30000 + 2900 * i, 300 + 9000 / (i + 3) + 60 * (i % 4), n] for i, n in enumerate(NAMES)]),
            series("front", [[30000 + 2900 * i, 300 + 9000 / (i + 3)] for i in range(0, len(NAMES), 4)], joined=True)]
    return [chart("sla", "Attainment against load", "Where a line leaves 100 %, the fleet is full.", "line", axis("load", "req/s", "log"), axis("attainment", "%"), *sla),
            chart("cdf", "Time to first token", "The whole distribution, not only its p99.", "line", axis("TTFT", "ms", "log"), axis("share of requests", "%"), *cdf),
            chart("front", "Cost against p99", "", "scatter", axis("cost", "USD/month"), axis("p99 TTFT", "ms", "log"), *dots),
            chart("wide", "Predicted and measured", "", "scatter", axis("measured", "ms"), axis("predicted", "ms"),
                  series("steps", [[k, k * (1 + .1 * math.sin(k))] for k in range(5, 60)]), series("equal", [[5, 5], [60, 60]], joined=True))]


def bars():
    short = axis("strategy", "", "names", NAMES)
    spent = ["prefill", "decode", "link", "waiting", "correction", "host", "idle", "other", "rest"]
    months = axis("month", "", "names", [str(m) for m in range(25)])
    return [chart("cost", "Cost of a million tokens", "The mark is the mean, the bar the 90 % interval.", "ranges", short, axis("cost", "USD"),
                  series("cost", [[i, .2 + .02 * i, .3 + .02 * i, .5 + .03 * i] for i in range(SERIES)])),
            chart("time", "Where the time goes", "", "stacked", short, axis("share", "%"),
                  *[series(s, [[i, 100 / len(spent)] for i in range(SERIES)]) for s in spent]),
            chart("cash", "Cash by month", "", "bars", months, axis("cash", "USD"), series("buy", [[m, 900000 if m == 0 else -42000.5] for m in range(25)])),
            chart("loss", "Quality risk", "", "bars", axis("task", "", "names", ["retrieval", "summary", HOSTILE]), axis("loss", "%"),
                  series("loss", [[0, 1.2], [1, None], [2, .4]]))]


def main():
    timeline = [chart(f"time-{k}", t, "", "line", axis("time", "s"), axis(t, u), *[series(n, [[round(7.2 * p, 1), None if 100 < p < 110 else wave(i + k, p)]
                for p in range(POINTS)]) for i, n in enumerate(NAMES)])
                for k, (t, u) in enumerate([("KV memory", "%"), ("host link", "%"), ("running", "requests"), ("waiting", "requests")])]
    rows = [[f"request {i}", (i * 7919) % 1000, round(math.sin(i) * 10 ** (i % 6 - 2), 6), i % 3 == 0] for i in range(400)]
    some = [text("plain", "Only this language."), table("only", "Bill", [("item", None), ("price", "USD")], [["server", 250000], ["rack", 1200.5]])]
    sections = [("answer", "Decision sheet", answer()), ("curves", "Service levels and latency", curves()), ("costs", "Cost and risk", bars()),
                ("timelines", "Time lines", timeline), ("tables", "All figures", [table("long", "Requests", [("request", None), ("tokens", ""), ("error", "%"), ("late", None)], rows),
                 table("folded", "Folded", [("a", None), ("b", "ms")], [[HOSTILE, 1], ["b", None], ["c", -2]], True)]),
                ("again", "To make it again", [text("plain", HOSTILE), {"kind": "code", "text": "kvsim plan plan.yaml --seed 7\n" + HOSTILE},
                 {"kind": "languages", "en": some, "ja": some}])]
    json.dump({"kind": "plan", "title": ["16 x H200 for {0}", "llama-3.1-8b"], "subtitle": ["plan.yaml, seed {0}", "7"], "version": "0.6",
               "sections": [{"id": i, "title": t, "parts": p} for i, t, p in sections]}, sys.stdout, separators=(",", ":"))


main()
