#!/bin/sh
# What `make fuzz` runs: fuzz.sh tests/fuzz_<name>.c...   with BUILD, FUZZ_SECONDS, MAKE and JOBS
# (fuzzers at once) from the Makefile.
# Each fuzzer starts from tests/corpus/<name>/ and from what earlier runs kept in $BUILD/fuzz/corpus/<name>/; what
# breaks one is written to $BUILD/fuzz/findings/<name>/. Exit 1 when something broke.
set -eu
fuzz=$BUILD/fuzz

has_libfuzzer() {
    command -v clang >/dev/null 2>&1 &&
        echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n && *d == 1; }' |
        clang -fsanitize=fuzzer -x c -o "$fuzz/probe" - >/dev/null 2>&1
}

fuzz_one() { # NAME
    name=$1 rc=0
    mkdir -p "$fuzz/corpus/$name" "$fuzz/findings/$name" "tests/corpus/$name"
    dictionary=tests/corpus/$name.dict
    "$fuzz/libfuzzer/fuzz_$name" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$fuzz/findings/$name/" -print_final_stats=1 \
        "$([ -f "$dictionary" ] && echo "-dict=$dictionary" || echo -verbosity=1)" \
        "$fuzz/corpus/$name" "tests/corpus/$name" >"$fuzz/$name.log" 2>&1 || rc=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$fuzz/$name.log")
    if [ "$rc" = 0 ]; then
        echo "fuzz $name: ${runs:-0} inputs in $FUZZ_SECONDS s, nothing broke"
    else
        echo "fuzz $name: BROKE after ${runs:-?} inputs; input in $fuzz/findings/$name/, log in $fuzz/$name.log"
        grep -E 'ERROR|SUMMARY|runtime error' "$fuzz/$name.log" | head -n 5
        return 1
    fi
}

if [ "${1:-}" = --one ]; then
    name=${2##*/fuzz_}
    fuzz_one "${name%.c}" || exit 1
    exit 0
fi
[ $# -gt 0 ] || { echo "fuzz: there are no fuzzers"; exit 0; }
mkdir -p "$fuzz"
if ! has_libfuzzer; then
    echo "fuzz: no clang with libFuzzer on this machine, nothing was fuzzed; \`make deps-fuzz\` installs it" >&2
    echo "fuzz: \`make check\` replays the committed inputs without it" >&2
    exit 1
fi
SANITIZE='-O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DKVSIM_DEBUG'
$MAKE -O BUILD="$fuzz" CC=clang SANITIZE="$SANITIZE" fuzzers
printf '%s\n' "$@" | xargs -n 1 -P "${JOBS:-1}" "$0" --one || exit 1
