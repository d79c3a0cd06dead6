# Functions for the cases.

# steady: what differs from run to run or with every version is replaced: times
# by T, the version by V, the size of an output by N.
steady() {
    sed -E 's/ in [0-9]+\.[0-9]{2} s/ in T s/
        s/^((Wrote|Would) .* -> )[0-9.]+ [KM]?B/\1N/
        s/^(  "onnxq": )"[^"]*"/\1"V"/
        s/^(    "nbytes_after": )[0-9]+/\1N/'
}

# run COMMAND...: the command, its standard output (made steady), its standard
# error behind `! `, and its exit code where it is not 0.
run() {
    printf '$ %s\n' "$*"
    "$@" >"$TMPDIR/run.out" 2>"$TMPDIR/run.err"
    run_code=$?
    steady <"$TMPDIR/run.out"
    sed 's/^/! /' "$TMPDIR/run.err"
    [ "$run_code" = 0 ] || echo "exit $run_code"
    rm -f "$TMPDIR/run.out" "$TMPDIR/run.err"
}

# same A B: says whether two files hold the same bytes.
same() {
    if cmp -s "$1" "$2"; then echo "$1 is the same as $2"; else echo "$1 differs from $2"; fi
}

# skip REASON: ends the case as neither passed nor failed.
skip() {
    echo "$*"
    exit 77
}

has() {
    command -v "$1" >/dev/null 2>&1
}
