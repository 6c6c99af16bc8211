#!/bin/sh
# What the CUDA compiler made of our kernels: cuda-check.sh kernels/cuda/ops/NAME.cu...   after the objects are built.
# From what ptxas said ($BUILD/kernels/cuda/ops/NAME.ptxas) one line per kernel and target: registers, threads, shared
# memory, spills. Then, per hot file, whether its PTX has the instructions that make it fast. Exit 1 on any finding.
#   BUILD  where the objects are (build)     NVCC  the compiler (nvcc); without one, nothing is checked
set -eu
BUILD=${BUILD:-build}
NVCC=${NVCC-nvcc}
command -v "${NVCC:-none}" >/dev/null 2>&1 || { echo "cuda-check: skipped, no nvcc"; exit 0; }
[ $# -gt 0 ] || { echo "cuda-check: no kernels named" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Hot files: the loads and matrix instructions that must be there. Kernels of a hot file have no stack and no spills.
#   wide    16-byte loads from global memory or asynchronous copies      copy    asynchronous copies
hot() {
    sed 's/  *| */|/g; s/  *$//' <<'END'
attn_decode_*       | wide | mma.sync
attn_decode         |      |
attn_prefill_wgmma* | copy | wgmma.mma_async
attn_prefill*       | copy | mma.sync
append*             | wide |
digest*             | wide |
relayout*           | wide |
compact*            | wide |
gather*             | wide |
stream*             | wide |
END
}

hot_row() { # NAME: its row of the table, nothing when it is not hot
    hot | while IFS='|' read -r pattern loads matrix; do
        # shellcheck disable=SC2254 # a pattern it is
        case $1 in $pattern) echo "$loads|$matrix"; break ;; esac
    done
}

ptx_of() { # FILE.cu: its PTX, made again when the object is newer
    ptx=$BUILD/${1%.cu}.ptx
    case $1 in *_wgmma.cu) arch=compute_90a ;; *) arch=compute_80 ;; esac
    [ -n "$(find "$ptx" -newer "$BUILD/${1%.cu}.o" 2>/dev/null)" ] ||
        "$NVCC" -std=c++17 -O3 -I. -ptx -arch="$arch" -o "$ptx" "$1" >&2
    echo "$ptx"
}

# Facts of ptxas, one line per kernel and target: kernel target stack spills registers shared
facts() { # FILE.ptxas
    awk '
    /Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; target = q[4]; stack = spills = 0 }
    /bytes stack frame/ { stack = $1 > stack ? $1 : stack; spills += $5 + $9 } # functions it calls have their own line
    /Used [0-9]+ registers/ {
        shared = 0
        for (i = 2; i <= NF; i++) if ($i ~ /^smem/) shared = $(i - 2)
        for (i = 1; i < NF; i++) if ($i == "Used") registers = $(i + 1)
        print kernel, target, stack, spills, registers, shared
    }' "$1"
}

# Threads a block may have, of each kernel in a PTX file: kernel threads (0: no __launch_bounds__)
bounds() { # FILE.ptx
    awk '
    /\.entry / { if (kernel != "") print kernel, threads; kernel = $0; sub(/.*\.entry */, "", kernel); sub(/\(.*/, "", kernel); threads = 0 }
    /^\.(maxntid|reqntid)/ { gsub(/,/, " "); threads = $2 * ($3 ? $3 : 1) * ($4 ? $4 : 1) }
    END { if (kernel != "") print kernel, threads }' "$1"
}

report() { # FILE HOT: one line each; findings are marked
    awk -v file="$1" -v hot="$2" '
    function finding(what) { printf "%s: %s %s: %s\n", file, name, target, what; bad = 1 }
    FNR == NR { threads[$1] = $2; next }
    {
        name = $1; target = $2; stack = $3; spills = $4; registers = $5; shared = $6
        printf "%-22s %-7s %3d registers x %4d threads  %5d B shared  %d B stack  %d B spilled  %s\n", file, target,
            registers, threads[name], shared, stack, spills, name
        if (hot && stack) finding(stack " bytes of stack in a hot kernel")
        if (spills) finding(spills " bytes spilled")
        if (!threads[name]) finding("no __launch_bounds__")
        if (int((registers + 7) / 8) * 8 * threads[name] > 65536) finding("more than 65536 registers a block")
        if (shared > 49152) finding("more than 48 KB of static shared memory")
    }
    END { if (FNR == 0) { printf "%s: no kernels in what ptxas said\n", file; bad = 1 } exit bad }' "$work/bounds" "$work/facts"
}

has() { # PTX PATTERN
    grep -qE "$2" "$1"
}

instructions() { # NAME PTX LOADS MATRIX
    case $3 in
        wide) has "$2" 'ld\.global[^ ]*\.v4\.[a-z]32|ld\.global[^ ]*\.v2\.[a-z]64|cp\.async\.[cb]' || {
            echo "$1: no 16-byte loads and no cp.async"
            return 1
        } ;;
        copy) has "$2" 'cp\.async\.(cg|bulk)' || { echo "$1: no 16-byte cp.async"; return 1; } ;;
    esac
    [ -z "$4" ] || has "$2" "$(printf '%s' "$4" | sed 's/\./\\./g')" || { echo "$1: no $4"; return 1; }
}

broken=0 n=0
for file; do
    name=$(basename "$file" .cu)
    said=$BUILD/${file%.cu}.ptxas
    [ -r "$said" ] || { echo "$name: $said is not there: build first"; broken=1; continue; }
    row=$(hot_row "$name")
    ptx=$(ptx_of "$file")
    facts "$said" >"$work/facts"
    bounds "$ptx" >"$work/bounds"
    report "$name" "${row:+1}" >"$work/lines" || broken=1
    if command -v c++filt >/dev/null 2>&1; then c++filt <"$work/lines"; else cat "$work/lines"; fi
    [ -z "$row" ] || instructions "$name" "$ptx" "${row%%|*}" "${row#*|}" || broken=1
    n=$((n + $(wc -l <"$work/facts")))
done
echo "cuda-check: $n kernels, $([ $broken = 0 ] && echo "nothing found" || echo "FINDINGS, see above")"
exit $broken
