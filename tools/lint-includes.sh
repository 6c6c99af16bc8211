#!/bin/sh
# The include rule: who may include whom. lint-includes.sh [FILE...]  (all sources when none is named)
# Prints file:line and the rule that is broken; exit 1 when there is one.
#   sim          sim                          models, traces   sim and their own
#   calib        sim, models and its own      experiments      sim, models, traces, calib and its own
#   kernels      its own                      tests            everything
# Our headers are included from the root ("sim/status.h"), exist, and a source's own header comes first.
set -eu
[ $# -gt 0 ] || {
    # shellcheck disable=SC2046 # source names hold no blanks
    set -- $(tools/files.sh '*.c' '*.h' '*.cc' '*.cu' '*.cuh')
}
[ $# -gt 0 ] || exit 0
awk '
BEGIN {
    may["sim"] = "sim"; may["models"] = "sim models"; may["traces"] = "sim traces"
    may["calib"] = "sim models calib"; may["experiments"] = "sim models traces calib experiments"
    may["kernels"] = "kernels"; may["tests"] = "sim models traces calib experiments kernels tests"
}
function folder(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "" }
function exists(path,    line, r) { r = (getline line < path); close(path); return r >= 0 }
function broken(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; found = 1 }
FNR == 1 {
    first = 1
    from = folder(FILENAME)
    own = FILENAME
    sub(/\.(c|cc|cu)$/, ".h", own)
    if (own == FILENAME || !exists(own)) own = ""
}
/^[ \t]*#[ \t]*include/ {
    if (!match($0, /["<][^">]*[">]/)) { broken("an include that names no file"); next }
    quoted = substr($0, RSTART, 1) == "\""
    name = substr($0, RSTART + 1, RLENGTH - 2)
    if (first && own != "" && name != own) broken("the first include must be its own header \"" own "\"")
    first = 0
    to = folder(name)
    if (!quoted) {
        if (to in may && exists(name)) broken("<" name "> is ours: include it as \"" name "\"")
        next
    }
    if (!(to in may) || name ~ /\.\./) { broken("\"" name "\" is not named from the root, as in \"sim/status.h\""); next }
    if (!exists(name)) broken("\"" name "\" does not exist")
    if (from in may && (" " may[from] " ") !~ (" " to " ") && !(from == "experiments" && name == "kernels/kbench.h"))
        broken(from "/ may include " may[from] " only, not \"" name "\"")
}
END { exit found }' "$@"
