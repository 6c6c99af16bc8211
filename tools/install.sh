#!/bin/sh
# install.sh install|uninstall BUILD PREFIX     programs to PREFIX/bin, data to PREFIX/share/kvsim
# The program looks for its data in ../share/kvsim as seen from itself, so the folder may be moved as a whole.
set -eu
action=$1 build=$2 prefix=$3
programs="kvsim kvbench"
data() { # everything that is read when the program runs: not sources, not the pages about them
    find models calib traces experiments -type f \( -name '*.csv' -o -name '*.yaml' -o -name '*.json' -o -name '*.html' \
        -o -name '*.css' -o -name '*.js' -o -name '*.jsonl' -o -name '*.gz' -o -name '*.sbatch' -o -path 'models/catalogue/*' \) ! -name '.*'
}
case $action in
    install)
        umask 022
        mkdir -p "$prefix/bin" "$prefix/share/kvsim"
        for p in $programs; do
            [ ! -f "$build/$p" ] || install -m 755 "$build/$p" "$prefix/bin/$p"
        done
        data | while IFS= read -r f; do
            mkdir -p "$prefix/share/kvsim/${f%/*}"
            install -m 644 "$f" "$prefix/share/kvsim/$f"
        done
        echo "installed: $prefix/bin/kvsim, data in $prefix/share/kvsim"
        ;;
    uninstall)
        for p in $programs; do rm -f "$prefix/bin/$p"; done
        rm -rf "$prefix/share/kvsim"
        echo "removed: $prefix/bin/kvsim, $prefix/share/kvsim"
        ;;
    *)
        echo "install.sh install|uninstall BUILD PREFIX" >&2
        exit 2
        ;;
esac
