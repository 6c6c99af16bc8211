#!/bin/sh
# Lays out the sources (-i) or says where they differ (default), with any clang-format from version 14 on.
# Exit 1 when something differs, 3 when there is no such clang-format.
set -eu

recent() { # NAME: is it there, and 14 or newer?
    version=$("$1" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -ge 14 ]
}

for tool in clang-format-14 clang-format clang-format-21 clang-format-20 clang-format-19 clang-format-18 \
    clang-format-17 clang-format-16 clang-format-15 ''; do
    ! recent "$tool" || break
done
[ -n "$tool" ] || exit 3
[ "${1:-}" = -i ] || set -- --dry-run -Werror
tools/files.sh '*.c' '*.h' '*.cc' '*.cu' '*.cuh' | xargs -n 20 "$tool" "$@"
