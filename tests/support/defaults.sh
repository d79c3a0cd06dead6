# Sourced first by scripts that start programs under test: starts the script once more with every
# signal as it is by default and none blocked, whatever was inherited (from nohup, from a shell's
# `&`). Where env is too old for that (coreutils 8.31 has it), all stays as it is.
# shellcheck shell=sh
if [ -z "${SIGNALS_ARE_DEFAULT-}" ] && env --default-signal true 2>/dev/null; then
    exec env --default-signal SIGNALS_ARE_DEFAULT=1 "$0" "$@"
fi
unset SIGNALS_ARE_DEFAULT
