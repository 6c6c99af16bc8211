#!/bin/sh
# The whole loop on the cpu device: measure, fit, plan, execute, compare.  loop.sh BUILD [OUT]
# Every part is real and separate: kvbench measures kernels, kvsim fits them and plans a load that no measurement
# saw, kvbench executes the plan's batches, kvsim compares step by step. Prints the error beside the noise; whether
# that is good enough is for the reader to say.
#   LOOP_SECONDS  for the measurement (45)
set -eu
build=$1 out=${2:-out/loop}
scenario=experiments/scenarios/loop-cpu.yaml
began=$(date +%s)
rm -rf "$out"
mkdir -p "$out"
say() { echo "== $* ($(($(date +%s) - began)) s)" >&2; }

say "measuring the cpu device"
"$build/kvbench" run --device cpu --suite quick --only ceiling,gemm,prefill,decode,small --budget "${LOOP_SECONDS:-50}" --out "$out/raw"
say "fitting"
"$build/kvsim" calib fit raw --from kvbench --raw "$out" --gpu cpu --out "$out/profile"
say "planning"
"$build/kvsim" run "$scenario" --set fleet.0.profile="$out/profile" --export-plan "$out/plan.csv" --json >"$out/run.json"
say "executing"
"$build/kvbench" replay "$out/plan.csv" --device cpu --model smollm2-135m --kv full --repeat 2 --out "$out/measured.csv"
say "comparing"
"$build/kvsim" validate --steps "$out/plan.csv" "$out/measured.csv" --scenario "$scenario" --set fleet.0.profile="$out/profile"
say "done"
