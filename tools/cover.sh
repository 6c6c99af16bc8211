#!/bin/sh
# Line coverage of a build that ran its tests: cover.sh BUILD FOLDER...   One line per source, then the total;
# with lcov, pages in BUILD/html as well.
set -eu
build=$1
shift
for folder; do
    for source in "$folder"/*.c; do
        [ ! -f "$build/${source%.c}.gcno" ] || gcov -n -o "$build/$folder" "$source" 2>/dev/null |
            awk -v want="$source" -F "'" '/^File/ { this = $2 } /^Lines executed/ && this == want { print want " " $0; exit }'
    done
done | sed 's/Lines executed://; s/% of / /' | awk '
    { printf "%-40s %6.1f %% of %5d lines\n", $1, $2, $3; hit += $2 / 100 * $3; lines += $3 }
    END { if (lines) printf "%-40s %6.1f %% of %5d lines\n", "total", 100 * hit / lines, lines }'
if command -v lcov >/dev/null 2>&1 && command -v genhtml >/dev/null 2>&1; then
    lcov -q --capture --directory "$build" --base-directory . --no-external --output-file "$build/cover.info" 2>/dev/null
    genhtml -q --output-directory "$build/html" "$build/cover.info" 2>/dev/null && echo "pages: $build/html/index.html"
else
    echo "no lcov: no pages; \`make deps-cover\` installs it"
fi
