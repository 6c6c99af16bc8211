#!/bin/sh
# Installs the packages that kvsim needs and this machine lacks: deps.sh [--check] build|lint|fuzz|cover|mpi|report
# Debian and Ubuntu: apt-get, with sudo when not root. Elsewhere it prints what to install. --check only tells.
# Runs on a machine that has nothing but git and make, so it uses no tool beyond sh, sed, awk and dpkg-query.
set -eu

# group | how to see that it is there | Debian, Ubuntu | Fedora | Arch | Homebrew      (- means comes with another)
table() {
    sed 's/  *| */|/g' <<'END'
build | cmd:cc gcc clang    | gcc            | gcc                | gcc         | gcc
build | cmd:c++ g++ clang++ | g++            | gcc-c++            | -           | -
build | hdr:stdio.h         | libc6-dev      | glibc-devel        | -           | -
build | cmd:pkg-config      | pkg-config     | pkgconf-pkg-config | pkgconf     | pkgconf
build | pc:gsl              | libgsl-dev     | gsl-devel          | gsl         | gsl
build | hdr:csv.h           | libcsv-dev     | libcsv-devel       | libcsv(AUR) | libcsv
build | pc:jansson          | libjansson-dev | jansson-devel      | jansson     | jansson
build | pc:yaml-0.1         | libyaml-dev    | libyaml-devel      | libyaml     | libyaml
build | pc:sqlite3          | libsqlite3-dev | sqlite-devel       | sqlite      | sqlite
build | pc:zlib             | zlib1g-dev     | zlib-devel         | zlib        | zlib
build | pc:check            | check          | check-devel        | check       | check
chart | file:/usr/share/javascript/chart.js/chart.min.js | libjs-chart.js | - | - | -
blas  | so:libopenblas.so.0 | libopenblas0   | openblas           | openblas    | openblas
mpi   | pc:ompi-c           | libopenmpi-dev | openmpi-devel      | openmpi     | open-mpi
mpi   | cmd:mpirun          | openmpi-bin    | openmpi            | -           | -
report | cmd:chromium       | chromium       | chromium           | chromium    | chromium
report | cmd:chromedriver   | chromium-driver | chromedriver      | -           | chromedriver
report | py:selenium        | python3-selenium | python3-selenium | python-selenium | -
lint  | cmd:clang-format    | clang-format   | clang-tools-extra  | clang       | clang-format
lint  | cmd:shellcheck      | shellcheck     | ShellCheck         | shellcheck  | shellcheck
fuzz  | cmd:clang           | clang          | clang              | clang       | llvm
cover | cmd:lcov            | lcov           | lcov               | lcov        | lcov
END
}

# Is it on this machine, however it came here?
there() {
    case $1 in
        cmd:*) for c in ${1#cmd:}; do command -v "$c" >/dev/null 2>&1 && return 0; done; return 1 ;;
        pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
        hdr:*) echo "#include <${1#hdr:}>" | cc -E -x c - >/dev/null 2>&1 ;;
        py:*) /usr/bin/python3 -c "import ${1#py:}" >/dev/null 2>&1 ;;
        file:*) [ -r "${1#file:}" ] ;;
        so:*) for f in /usr/lib/*/"${1#so:}" /usr/lib*/"${1#so:}"; do [ ! -r "$f" ] || return 0; done; return 1 ;;
    esac
}

installed() { # by Debian's package manager
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() { # GROUP COLUMN: the names in that column of what this machine lacks
    table | while IFS='|' read -r group probe debian fedora arch brew; do
        [ "$group" = "$1" ] || continue
        installed "$debian" || there "$probe" || case $2 in
            debian) echo "$debian" ;; fedora) echo "$fedora" ;; arch) echo "$arch" ;; brew) echo "$brew" ;;
        esac
    done | awk '$0 != "-" { printf "%s%s", sep, $0; sep = " " }'
}

other_system() { # GROUP
    echo "kvsim needs packages that this machine lacks; install them, then run make again:"
    echo "  Debian, Ubuntu:   apt-get install $(missing "$1" debian)"
    echo "  Fedora:           dnf install $(missing "$1" fedora)"
    echo "  Arch:             pacman -S $(missing "$1" arch)"
    echo "  macOS, Homebrew:  brew install $(missing "$1" brew)"
}

apt() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@"
    else
        echo "apt-get needs root and there is no sudo; as root: apt-get $*" >&2
        return 1
    fi
}

install_missing() { # GROUP
    names=$(missing "$1" debian)
    if [ -n "$names" ]; then
        echo "installing: $names"
        apt update >/dev/null || echo "apt-get update failed, trying with the lists there are" >&2
        # shellcheck disable=SC2086 # a list of package names
        apt install --no-install-recommends $names >/dev/null || {
            echo "apt-get could not install: $names" >&2
            return 1
        }
    fi
}

# A system without an optional package builds and tests all the same.
install_optional() { # GROUP PACKAGE WHAT-IS-LOST
    [ -n "$(missing "$1" debian)" ] || return 0
    apt-cache show "$2" >/dev/null 2>&1 && install_missing "$1" || echo "$2 is not to be had here: $3" >&2
}

# The fuzzer's runtime is a package of its own, named after clang's version.
install_fuzzer_runtime() {
    version=$(clang -dumpversion | sed 's/\..*//')
    installed "libclang-rt-$version-dev" || ! apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1 ||
        apt install --no-install-recommends "libclang-rt-$version-dev" >/dev/null
}

check_only=
[ "${1:-}" != --check ] || { check_only=1; shift; }
group=${1:-build}
[ -n "$(missing "$group" debian)" ] || [ "$group" = fuzz ] || [ "$group" = build ] || exit 0

if [ -n "$check_only" ]; then
    [ -z "$(missing "$group" debian)" ] || {
        echo "missing: $(missing "$group" debian); \`make deps\` installs them" >&2
        exit 1
    }
elif command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    install_missing "$group"
    if [ "$group" = build ]; then
        install_optional chart libjs-chart.js "reports come without interactive charts"
        install_optional blas libopenblas0 "kvbench's cpu device multiplies matrices with its own loops"
    fi
    [ "$group" != fuzz ] || install_fuzzer_runtime
elif [ -n "$(missing "$group" debian)" ]; then
    other_system "$group" >&2
    exit 1
fi
