#!/bin/sh
# big_endian.sh CC SOURCE-FOLDER
# Weights are read as they are in the file, which is little-endian: the build for
# a processor of the other order stops, and says why. Shown with the compiler at
# hand, which is told the other order, and with one for s390x where there is one.
set -eu
header=$2/src/base/checked.h
refuses() {
    if said=$("$@" -ffreestanding -fsyntax-only -x c "$header" 2>&1); then
        echo "it builds: $*"
        exit 1
    fi
    case $said in
    *"a big-endian host needs swaps"*) ;;
    *)
        printf 'the reason is another one: %s\n%s\n' "$*" "$said"
        exit 1
        ;;
    esac
}
"$1" -ffreestanding -fsyntax-only -x c "$header"
refuses "$1" -Wno-builtin-macro-redefined -U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__
if command -v s390x-linux-gnu-gcc >/dev/null; then
    refuses s390x-linux-gnu-gcc
    echo "s390x refuses"
fi
