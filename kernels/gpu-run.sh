# What gpu-run-a and gpu-run-b share: sourced from the root of the repository, not run.
#   begin ARGS    finds or builds kvbench, makes the folders; --dry-run prints what would be run and checks what can be
#   step FILE SECONDS COMMAND...   runs it with a time limit, its output into $RESULTS/FILE, a line into the summary
#   pack NAME     $WORK/NAME as $RESULTS/NAME.tar.gz        keep FILE...   files of $WORK into $RESULTS, packed when large
#   finish        the table, and the exit status: 1 when any step failed
# LIMIT_S is what all steps together may take: a step gets what is left of it.
# shellcheck shell=sh
MODEL=${MODEL:-llama-3.1-8b}
DEVICE=${DEVICE:-cuda:0}
KVBENCH=${KVBENCH:-build/kvbench}
MOST_BYTES=16777216
CUDA_MODULE_LOADING=EAGER
KVSIM_DATA=${KVSIM_DATA:-$(pwd)}
export CUDA_MODULE_LOADING KVSIM_DATA
dry='' failed=0 WORK='' started=$(date +%s)

note() {
    printf '%s\n' "$*"
    [ -n "$dry" ] || printf '%s\n' "$*" >>"$RESULTS/summary.txt"
}

find_kvbench() { # the program that was brought along, else one that is built here
    if [ -x "$KVBENCH" ] && "$KVBENCH" --version >/dev/null 2>&1; then
        return
    fi
    if ! command -v nvcc >/dev/null 2>&1 && [ -x /usr/local/cuda/bin/nvcc ]; then
        PATH=$PATH:/usr/local/cuda/bin
    fi
    step build.txt 290 make "BUILD=${KVBENCH%/*}" "$KVBENCH"
}

begin() {
    case ${1:-} in
        '') ;;
        --dry-run) dry=1 ;;
        *)
            echo "usage: $0 [--dry-run]" >&2
            exit 2
            ;;
    esac
    if [ -z "$dry" ]; then
        mkdir -p "$RESULTS" || exit 1
        WORK=$(mktemp -d) || exit 1
        trap 'rm -rf "$WORK"' EXIT
        rm -f "$RESULTS"/*.txt "$RESULTS"/*.tar.gz "$RESULTS"/replay.csv*
    else
        WORK=work
        dry_checks
    fi
    find_kvbench
    note "$(uname -sr), $DEVICE, $MODEL, $(date -u +%Y-%m-%dT%H:%M:%SZ)"
}

dry_checks() { # what can be known without a GPU
    [ -f "models/catalogue/$MODEL.json" ] || [ -f "$MODEL" ] || {
        echo "no model $MODEL" >&2
        failed=1
    }
    if [ -x "$KVBENCH" ]; then
        "$KVBENCH" check --device cpu --shapes 1 || failed=1
    else
        echo "no $KVBENCH here: it would be built by make"
    fi
}

step() { # FILE SECONDS COMMAND...
    file=$1 seconds=$2
    shift 2
    if [ -n "$dry" ]; then
        printf 'would run (at most %s s, into %s): %s\n' "$seconds" "$file" "$*"
        return
    fi
    began=$(date +%s) rc=0
    left=$((LIMIT_S - began + started))
    [ "$left" -gt "$seconds" ] || seconds=$left
    if [ "$seconds" -lt 5 ]; then
        note "no time left for: $*"
        failed=1
        return
    fi
    timeout -k 5 "$seconds" "$@" >>"$RESULTS/$file" 2>&1 || rc=$?
    note "$(printf '%-4s %4d s  %s' "$([ "$rc" = 0 ] && echo ok || echo "rc $rc")" "$(($(date +%s) - began))" "$*")"
    [ "$rc" = 0 ] || failed=1
}

pack() { # NAME
    [ -d "$WORK/$1" ] || return 0
    tar -czf "$RESULTS/$1.tar.gz" -C "$WORK" "$1" || failed=1
}

keep() { # FILE...
    [ -z "$dry" ] || return 0
    for f; do
        [ -f "$WORK/$f" ] || continue
        if [ "$(wc -c <"$WORK/$f")" -gt "$MOST_BYTES" ]; then
            gzip -c "$WORK/$f" >"$RESULTS/$f.gz"
        else
            cp "$WORK/$f" "$RESULTS/$f"
        fi
    done
}

finish() {
    if [ -n "$dry" ]; then
        exit "$failed"
    fi
    for f in "$RESULTS"/*.txt; do # a log that ran away is cut
        [ "$(wc -c <"$f")" -le "$MOST_BYTES" ] || {
            tail -c 1000000 "$f" >"$WORK/cut" && cp "$WORK/cut" "$f"
        }
    done
    echo "---"
    [ ! -f "$RESULTS/run.txt" ] || grep -v '^noisy:\|^run: ' "$RESULTS/run.txt" | tail -n 25
    cat "$RESULTS/summary.txt"
    [ ! -f "$RESULTS/check.txt" ] || awk '{ n[$1]++ } END {
        printf "kernels: %d ok, %d wrong, %d not on this device\n", n["ok"], n["FAIL"], n["none"] }' "$RESULTS/check.txt"
    ls -l "$RESULTS"
    exit "$failed"
}
