#!/bin/sh
# Runs the command line as a user types it: run.sh [--update] [CASE...]
#
# A case is cases/NAME.sh. It runs in an empty folder of its own with `onnxq`
# and `make_model` in PATH and the functions of lib.sh. What it writes has to be
# NAME.stdout and NAME.stderr (no file: nothing), either ending in .exact, or in
# .glob for a shell pattern; its exit code that in NAME.exit (no file: 0).
# --update writes what came out into the .exact and .exit files.
#
# ONNXQ and MAKE_MODEL are the programs under test.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/defaults.sh
. "$here/../support/defaults.sh"
cases=$here/cases update=false

[ "${1-}" = --update ] && update=true && shift
for program in "${ONNXQ:?is not set: the program to test}" "${MAKE_MODEL:?is not set}"; do
    [ -x "$program" ] || { echo "run.sh: $program is no program"; exit 2; }
done

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$(realpath "$ONNXQ")" "$work/bin/onnxq"
ln -s "$(realpath "$MAKE_MODEL")" "$work/bin/make_model"

PATH=$work/bin:$PATH LC_ALL=C TERM=xterm TMPDIR=$work/tmp LIB=$here/lib.sh
export PATH LC_ALL TERM TMPDIR LIB
unset CI NO_COLOR
mkdir "$TMPDIR"

# check CASE STREAM: compares what came with what was expected.
check() {
    actual=$work/$2 expected=$cases/$1.$2
    if [ -f "$expected.glob" ]; then
        pattern=$(cat "$expected.glob")
        # shellcheck disable=SC2254 # it is a pattern
        case $(cat "$actual") in $pattern) return 0 ;; esac
        echo "--- $1: $2 does not match $1.$2.glob:"
        cat "$actual"
        return 1
    fi
    [ -f "$expected.exact" ] && expected=$expected.exact || expected=/dev/null
    cmp -s "$expected" "$actual" && return 0
    if $update; then
        rm -f "$cases/$1.$2.exact"
        [ -s "$actual" ] && cp "$actual" "$cases/$1.$2.exact"
        return 0
    fi
    echo "--- $1: $2 differs (- expected, + actual):"
    diff -u "$expected" "$actual" | tail -n +3
    return 1
}

check_exit() {
    expected=$(cat "$cases/$1.exit" 2>/dev/null || echo 0)
    [ "$2" = "$expected" ] && return 0
    if $update; then
        rm -f "$cases/$1.exit"
        [ "$2" = 0 ] || echo "$2" >"$cases/$1.exit"
        return 0
    fi
    echo "--- $1: exit code $2, expected $expected"
    return 1
}

# Exit code 77 skips a case, with the reason as its output.
run_case() {
    rm -rf "$work/here" "$TMPDIR"
    mkdir "$work/here" "$TMPDIR"
    (cd "$work/here" && sh -u -c '. "$LIB"; . "$1"' sh "$cases/$1.sh") \
        >"$work/stdout" 2>"$work/stderr" </dev/null
    code=$?
    if [ "$code" = 77 ]; then
        echo "skipped $1: $(cat "$work/stdout")"
        return 0
    fi
    failed=false
    check "$1" stdout || failed=true
    check "$1" stderr || failed=true
    check_exit "$1" "$code" || failed=true
    left=$(ls -A "$TMPDIR")
    [ -z "$left" ] || { echo "--- $1: left in TMPDIR: $left"; failed=true; }
    ! $failed
}

if [ $# = 0 ]; then
    for script in "$cases"/*.sh; do
        name=${script##*/}
        set -- "$@" "${name%.sh}"
    done
fi
total=0 bad=0
for name in "$@"; do
    total=$((total + 1))
    run_case "$name" || bad=$((bad + 1))
done
echo "$((total - bad)) of $total cases passed"
[ "$bad" = 0 ]
