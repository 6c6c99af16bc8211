#!/bin/sh
# table.sh BUILD: runs the playbook's study (points that are stored are not computed again) and writes its tables into
# README.md, between the two marks. The database stays in BUILD.
set -eu
build=$1 here=${0%/*}
db=$build/playbook.sqlite
tables=$(mktemp -d)
trap 'rm -rf "$tables"' EXIT
"$build/kvsim" sweep "$here/study.yaml" --db "$db"
"$build/kvsim" report "$db" --format csv --out "$tables" >&2

# winners.csv: 1 model, 2 traffic, 3 gpu, 4 winner, 5 at, 6 score, 7 second, 8 margin, 9 over full, 10 newly failing,
# 11 measured, 12 verdict, 13 most good answers, 14 its lead
matrix() { # most|good
    awk -F , -v what="$1" '
        function lead(x) { return x == "" ? "" : sprintf(" %+.0f %%", x) }
        function cell() {
            if (what == "good") return $13 == "" ? "none" : $13 == "full" ? "full" : $13 lead($14)
            if ($4 == "") return "none"
            text = $4 == "full" ? "full" : $4 lead($9)
            if ($12 == "tie") text = text " ~ " $7
            return text ($10 == "" ? " ?" : $10 > 0 ? sprintf(" (%.1f %% worse)", $10) : "")
        }
        NR == 1 { next }
        !($3 in gpu) { gpu[$3] = ++gpus; name[gpus] = $3 }
        !(($1 "," $2) in row) { row[$1 "," $2] = ++rows; head[rows] = "| " $1 " | " $2 " |" }
        { at[row[$1 "," $2], gpu[$3]] = cell() }
        END {
            printf "| model | traffic |"
            for (g = 1; g <= gpus; g++) printf " %s |", name[g]
            printf "\n|---|---|"
            for (g = 1; g <= gpus; g++) printf "---|"
            for (r = 1; r <= rows; r++) {
                printf "\n%s", head[r]
                for (g = 1; g <= gpus; g++) printf " %s |", at[r, g]
            }
            print ""
        }' "$tables/winners.csv"
}

all() {
    awk -F , '
        function number(x, form) { return x == "" ? "" : sprintf(form, x) }
        NR == 1 {
            print "| model | traffic | GPU | winner | at | requests a dollar | second | ahead of it, % | ahead of full, % | newly failing, % | measured, % | most good answers |"
            print "|---|---|---|---|---|--:|---|--:|--:|--:|--:|---|"
            next
        }
        {
            printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, number($6, "%.0f"),
                $7, number($8, "%.1f"), number($9, "%.1f"), number($10, "%.1f"), number($11, "%.0f"), $13
        }' "$tables/winners.csv"
}

{
    sed '/^<!-- tables/q' "$here/README.md"
    echo
    echo "**Most requests within their limits per dollar**, ahead of full KV by:"
    echo
    matrix most
    echo
    echo "**Most good answers per dollar**, of strategies whose answers were scored:"
    echo
    matrix good
    echo
    echo "<details><summary>All figures</summary>"
    echo
    all
    echo
    echo "</details>"
    echo
    sed -n '/^<!-- end/,$p' "$here/README.md"
} >"$tables/README.md"
cat "$tables/README.md" >"$here/README.md"
echo "written: $here/README.md" >&2
