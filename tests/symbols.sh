#!/bin/sh
# Keeps the library's names its own: symbols.sh NM LIBONNXQ.a LIBONNXQ.so
set -eu
nm=$1 archive=$2 shared=$3
in_archive=$("$nm" -g --defined-only "$archive")
exported=$("$nm" -D --defined-only "$shared")
status=0

# check LABEL PATTERN: prints each symbol of standard input that does not match.
# nm prints value, type and name; type A is the node of the version script.
check() {
    awk -v label="$1" -v pattern="$2" \
        'NF == 3 && $2 != "A" && $3 !~ pattern { print label ": " $3; bad = 1 } END { exit bad }' ||
        status=1
}

check "in the archive without our prefix" '^(onnxq_|oq_)' <<EOT
$in_archive
EOT
check "exported, but not public" '^onnxq_' <<EOT
$exported
EOT
case $exported in
*" onnxq_version"*) ;;
*)
    echo "not exported: onnxq_version"
    status=1
    ;;
esac
exit "$status"
