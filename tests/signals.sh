#!/bin/sh
# What tests and tools start has every signal by default and none blocked, whatever they inherited
# themselves (from nohup, from `&`): signals.sh TEST_SUPPORT, a program of units.
# ONNXQ and MAKE_MODEL are the programs under test.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! env --default-signal true 2>/dev/null; then
    echo "skipped: env has no --default-signal"
    exit 0
fi

# inherit COMMAND...: as under nohup and worse.
inherit() {
    env --ignore-signal=HUP --ignore-signal=INT --ignore-signal=QUIT --ignore-signal=PIPE \
        --ignore-signal=CHLD --block-signal=USR1 --block-signal=TERM "$@"
}

echo "units"
inherit "$1" >/dev/null
echo "command line"
inherit "$here/cli/run.sh" interrupt
echo "tools"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/tool" <<END
#!/usr/bin/env bash
source "$here/../tools/lib.sh"
grep -E '^Sig(Blk|Ign):' /proc/self/status
[ "\$1 \$2" = "a  b" ]
exit 7
END
chmod +x "$work/tool"
inherit "$work/tool" "a " b >"$work/said" && code=0 || code=$?
[ "$code" = 7 ] || { echo "exit code $code, expected 7"; exit 1; }
grep -vE ':[[:space:]]0+$' "$work/said" && { echo "is not by default"; exit 1; }
[ "$(wc -l <"$work/said")" = 2 ]
echo "what ends a tool ends what it has started"
cat >"$work/tool" <<END
#!/usr/bin/env bash
source "$here/../tools/lib.sh"
echo \$\$ >"$work/pid"
exec sleep 60
END
env --ignore-signal=HUP "$work/tool" &
tool=$!
until [ -s "$work/pid" ]; do sleep 0.05; done
[ "$(cat "$work/pid")" != "$tool" ] || { echo "is in no session of its own"; exit 1; }
kill -s HUP -- "$tool"
kill -s TERM "$tool"
wait "$tool" && code=0 || code=$?
[ "$code" = 143 ] || { echo "exit code $code, expected 143"; exit 1; }
! kill -0 "$(cat "$work/pid")" 2>/dev/null || { echo "goes on"; exit 1; }
