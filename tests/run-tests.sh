#!/bin/sh
# Runs test programs and counts: run-tests.sh PROGRAM...   (from the root of the repository)
# One line per program, then one line in total: N passed, N failed, N skipped. A program that dies, times out, fails
# without saying so or prints no counts is one failure more; the end of its log is shown. Logs lie beside the programs.
#   JOBS             programs at once (1)
#   TEST_SECONDS     patience for one program (280)
#   FIXED_ADDRESSES  not empty: without address-space randomisation, where that is allowed
set -eu

COUNTS='^[0-9][0-9]* passed, [0-9][0-9]* failed, [0-9][0-9]* skipped$'

within_limit() { # COMMAND...
    if [ -n "${FIXED_ADDRESSES:-}" ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        set -- setarch "$(uname -m)" -R "$@"
    fi
    if command -v timeout >/dev/null 2>&1; then
        set -- timeout -k 5 "${TEST_SECONDS:-280}" "$@"
    fi
    "$@"
}

run_one() { # PROGRAM: writes PROGRAM.log and PROGRAM.counts, prints the line
    name=${1##*/} rc=0 began=$(date +%s)
    rm -f "$1.counts"
    case $name in # a fuzzer without libFuzzer replays the inputs kept for it
        fuzz_*) within_limit "$1" "tests/corpus/${name#fuzz_}" >"$1.log" 2>&1 || rc=$? ;;
        *) within_limit "$1" >"$1.log" 2>&1 </dev/null || rc=$? ;;
    esac
    line=$(grep "$COUNTS" "$1.log" | tail -n 1) || true
    why=
    case $rc,$line in
        124,* | 137,*) why="stopped after ${TEST_SECONDS:-280} s" ;;
        *,) why="ended with status $rc and printed no counts" ;;
        0,*) ;;
        *", 0 failed,"*) why="ended with status $rc" ;;
    esac
    echo "${line:-0 passed, 0 failed, 0 skipped}" | awk -v bad="${why:+1}" '{ print $1, $3 + bad, $5 }' >"$1.counts"
    read -r passed failed skipped <"$1.counts"
    text=$(printf '%-24s %5d passed %3d failed %3d skipped %5d s' "${name#test_}" "$passed" "$failed" "$skipped" \
        "$(($(date +%s) - began))")
    if [ "$failed" -gt 0 ]; then
        text="$text  FAILED${why:+: $why}
$(tail -n 60 "$1.log" | sed 's/^/    /')"
    fi
    printf '%s\n' "$text"
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit 0
fi
[ $# -gt 0 ] || { echo "run-tests.sh: no test programs given" >&2; exit 1; }

# The program finds models and profiles beside its build folder; programs built elsewhere are told here.
KVSIM_DATA=${KVSIM_DATA:-$(pwd)}
CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-5}
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} # test programs share the processors: waiting threads must not spin
export KVSIM_DATA CK_TIMEOUT_MULTIPLIER OMP_WAIT_POLICY
for program; do rm -f "$program.counts"; done
printf '%s\n' "$@" | xargs -n 1 -P "${JOBS:-1}" "$0" --one
for program; do
    if [ -s "$program.counts" ]; then cat "$program.counts"; else echo "0 1 0"; fi
done | awk '{ p += $1; f += $2; s += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }'
