#!/bin/sh
# The files of the repository, one per line: files.sh [NAME-PATTERN...]   e.g. files.sh '*.c' '*.h'
# What git tracks or would track; in an unpacked archive, every file outside build/, out/ and hidden folders.
set -eu
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -co --exclude-standard -- "$@" | while IFS= read -r f; do [ ! -f "$f" ] || printf '%s\n' "$f"; done
    exit 0
fi
[ $# -gt 0 ] || set -- '*'
for pattern; do
    find . -path './.*' -prune -o -path './build*' -prune -o -path './out*' -prune -o -type f -name "$pattern" -print
done | sed 's|^\./||'
