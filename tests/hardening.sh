#!/bin/sh
# hardening.sh READELF PROGRAM
# The program loads at a random address, nothing that was linked can be
# overwritten, and no stack can be executed.
set -eu
found=$("$1" -hldW "$2")
has() {
    printf '%s\n' "$found" | grep -Eq "$1" && return
    echo "$2: $3" >&2
    exit 1
}
has 'Type: +DYN' "$2" "is not position independent"
has 'GNU_RELRO' "$2" "has no RELRO"
has 'BIND_NOW|Flags:.*NOW' "$2" "binds lazily"
has 'GNU_STACK.* RW ' "$2" "has an executable stack"
