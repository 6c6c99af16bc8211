#!/bin/sh
# Reports of every kind in English and Japanese, tried in a browser without a screen: check-report.sh [--quick] BUILD
# They and their pictures lie in BUILD/check-report. --quick: one made-up report alone; without a browser it is skipped.
set -eu
quick=
[ "${1:-}" != --quick ] || { quick=1; shift; }
build=$1 out=$1/check-report python=/usr/bin/python3 # the distribution's, which has its package of selenium
if [ -n "$quick" ] && ! tools/deps.sh --check report 2>/dev/null; then
    echo "check-report: skipped, needs chromium, its driver and selenium (make deps-report)"
    exit 0
fi
export KVSIM_DATA="${KVSIM_DATA:-$PWD}"
rm -rf "$out"
mkdir -p "$out/sample"
kvsim() { "$build/kvsim" "$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }; }

page() { # NAME INPUT LANGUAGE...: its pages
    name=$1 input=$2
    shift 2
    for language in "$@"; do kvsim report "$input" --lang "$language" --out "$out/$name-$language.html"; done
}

measured() { # points as a serving benchmark gives them
    cat <<'END'
model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms
meta-llama/Llama-3.1-8B-Instruct,h100_sxm,1024,1024,4,45,7.1
meta-llama/Llama-3.1-8B-Instruct,h100_sxm,1024,1024,16,110,8.0
meta-llama/Llama-3.1-8B-Instruct,h100_sxm,1024,1024,64,260,11.5
END
}

$python tests/page_sample.py >"$out/sample/report.json"
page sample "$out/sample" en ja
if [ -n "$quick" ]; then
    exec $python tools/check_report.py --quick --out "$out" "$out/sample-ja.html"
fi
kvsim run experiments/scenarios/demo.yaml --out "$out/run"
kvsim compare experiments/scenarios/replay-8b.yaml --strategies all --replications 8 --out "$out/compare"
kvsim init plan "$out/plan.yaml"
kvsim plan "$out/plan.yaml" --out "$out/plan"
kvsim init study "$out/study.yaml"
kvsim sweep "$out/study.yaml" --db "$out/study.sqlite"
measured >"$out/measured.csv"
kvsim validate "$out/measured.csv" --replications 8 --out "$out/validate"
page run "$out/run" en
page compare "$out/compare" en ja
page plan "$out/plan" en ja
page study "$out/study.sqlite" en
page validate "$out/validate" en
exec $python tools/check_report.py --within 1000 --out "$out" "$out"/*.html
