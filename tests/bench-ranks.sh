#!/bin/sh
# What messages cost: 2 ranks of one thread under mpirun against two runs of one thread side by side, each with half of
# the study and a database of its own. PAIRS (5) pairs, one after the other; prints points/s of both, the ratio of
# each pair and their median. Goal: at least 0.9, on two cores with nothing else to do.
#   KVSIM_BIN  the program (build/kvsim)     POINTS  of the study (8000: 16 s, of which MPI takes 0.4 to start and end)     PAIRS  (5)
set -eu
bin=$(realpath "${KVSIM_BIN:-build/kvsim}")
KVSIM_DATA=${KVSIM_DATA:-$(pwd)}
export KVSIM_DATA
points=${POINTS:-8000} pairs=${PAIRS:-5}
command -v mpirun >/dev/null 2>&1 || { echo "bench-ranks: no mpirun here (make deps-mpi)"; exit 0; }
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >base.yaml <<YAML
model: llama-3.1-8b
fleet: [{gpu: h100-sxm}]
workload:
  open_loop: {request_rate: 8, num_requests: 2000, input_tokens: 'lognormal:600:0.7:4000', output_tokens: 'uniform:20:200'}
YAML
cat >study.yaml <<YAML
scenario: base.yaml
grid:
  workload.open_loop.request_rate: {from: 4, to: 20, count: 10}
  seed: {from: 1, to: $((points / 10)), count: $((points / 10))}
YAML

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { print b - a }'; }

together() { # seconds of two ranks
    begin=$(now)
    mpirun --oversubscribe -n 2 "$bin" sweep study.yaml --db ranks.sqlite --json >ranks.json 2>ranks.err ||
        { cat ranks.err >&2; exit 1; }
    since "$begin"
    rm -f ranks.sqlite*
}

apart() { # seconds until both runs have ended
    begin=$(now)
    "$bin" sweep study.yaml -j 1 --shard 1/2 --db a.sqlite --json >a.json 2>a.err &
    first=$!
    "$bin" sweep study.yaml -j 1 --shard 2/2 --db b.sqlite --json >b.json 2>b.err
    wait "$first"
    since "$begin"
    rm -f a.sqlite* b.sqlite*
}

i=0
while [ "$i" -lt "$pairs" ]; do
    i=$((i + 1))
    t=$(together) a=$(apart)
    awk -v n="$points" -v t="$t" -v a="$a" \
        'BEGIN { printf "%.1f points/s with 2 ranks, %.1f with two runs side by side: ratio %.3f\n", n / t, n / a, a / t }'
done | tee pairs.txt
awk '{ print $NF }' pairs.txt | sort -n | awk '{ x[NR] = $1 } END { printf "median ratio of %d pairs: %.3f\n", NR, NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'
