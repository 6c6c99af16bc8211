#!/bin/sh
# What `make lint` checks. Each finding is one line, file:line: what; the last line counts them. Exit 1 with any.
#   COMPILE, COMPILE_CXX  the compilers with their flags     JOBS  processes at once (1)
set -eu
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT
COMPILE=${COMPILE:-cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -I.}
COMPILE_CXX=${COMPILE_CXX:-c++ -std=c++17 -DKB_SHIM -Wall -Wextra -I.}
export COMPILE COMPILE_CXX

# As C; as C++ what the shim and the CUDA kernels share; the host side of CUDA is left to nvcc.
headers_compile_alone() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    tools/files.sh '*.h' '*.cuh' | xargs -P "${JOBS:-1}" -n 4 sh -c '
        for h; do
            case $h in
                kernels/cuda/*.h) ! grep -qE "include.*(<cuda|simt\.cuh)" "$h" || continue; how="$COMPILE -x c" ;;
                kernels/shim/shim.h) how="$COMPILE -x c" ;;
                kernels/shim/* | *.cuh) how="$COMPILE_CXX -Wno-unused-function -x c++" ;;
                *) how="$COMPILE -x c" ;;
            esac
            printf "#include \"%s\"\nextern int lint_unit;\n" "$h" | $how -Werror -fsyntax-only - 2>&1 |
                grep -E ": (fatal )?error:" | sed "s|^|$h:1: does not compile alone: |"
        done; true' sh
}

formatted() {
    rc=0
    out=$(tools/clang-format.sh 2>&1) || rc=$?
    if [ "$rc" = 3 ]; then
        echo "lint: no clang-format of version 14 or newer, layout not checked; \`make deps-lint\` installs it" >&2
    elif [ "$rc" != 0 ]; then
        printf '%s\n' "$out" | grep ': error:' | sort -u -t : -k 1,1 | sed 's/error: code should be.*/not laid out: make format/'
    fi
}

no_unfinished_marks() {
    tools/files.sh '*.c' '*.h' '*.cc' '*.cu' '*.cuh' '*.sh' '*.md' '*.yaml' |
        xargs grep -nE '\b(TO''DO|FIX''ME|X''XX)\b' /dev/null | sed -E 's/^([^:]*:[0-9]*):.*/\1: unfinished work is marked here/' || true
}

not_too_long() {
    tools/files.sh '*.c' '*.h' '*.cc' '*.cu' '*.cuh' '*.sh' Makefile | xargs awk '
        FNR == 701 { printf "%s:701: longer than 700 lines: one idea per file\n", FILENAME }'
    tools/files.sh | xargs -d '\n' ls -l -- | awk '$5 > 1048576 { printf "%s:1: larger than 1 MiB\n", $NF }'
}

folders_explain_themselves() {
    for f in sim models models/strategies traces calib experiments experiments/published experiments/quality experiments/planning experiments/study experiments/study/store experiments/tuning experiments/report experiments/playbook models/prices kernels tests tools; do
        [ -s "$f/README.md" ] || echo "$f/README.md:1: missing: what lives here, the idea, how to add one more"
    done
}

scripts_are_sound() {
    if command -v shellcheck >/dev/null 2>&1; then
        { tools/files.sh '*.sh'; [ ! -f .ci/run ] || echo .ci/run; } | xargs shellcheck -f gcc || true
    else
        echo "lint: no shellcheck, scripts not checked; \`make deps-lint\` installs it" >&2
    fi
}

{
    headers_compile_alone
    tools/lint-includes.sh || true
    formatted
    no_unfinished_marks
    not_too_long
    folders_explain_themselves
    scripts_are_sound
} >"$findings"
cat "$findings"
n=$(wc -l <"$findings")
echo "lint: $((n)) findings"
[ "$((n))" = 0 ]
