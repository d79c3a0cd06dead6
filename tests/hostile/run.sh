#!/usr/bin/env bash
# tests/hostile/run.sh [--long] [SECTION...]
#
# Runs onnxq where things go wrong: signals, closed streams, full disks, odd
# paths, other runs on the same files, hostile side files and names. Afterwards
# every output has to be whole or as it was before, with no temporary file left.
#   --long  many more moments at which signals come and readers look
# ONNXQ, MAKE_MODEL and LARGE_MODEL are the programs.
# shellcheck disable=SC2016 # what other shells run is expanded there
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/defaults.sh
. "$here/../support/defaults.sh"

# What cleans up is another shell: a trap would also run in a subshell of this one that gets a
# signal before its program has started.
if [ "${1-}" != --in ]; then
    parent=${TMPDIR:-/tmp}
    [ -z "${TMPDIR-}" ] && [ -w /dev/shm ] && parent=/dev/shm
    work=$(mktemp -d "$parent/hostile-XXXXXX") || exit 2
    trap 'rm -rf "$work"' EXIT
    "${BASH_SOURCE[0]}" --in "$work" "$@"
    exit
fi
work=$2 times=1
shift 2
[ "${1-}" = --long ] && times=20 && shift

for program in "${ONNXQ:?is not set: the program to test}" "${MAKE_MODEL:?is not set}" \
    "${LARGE_MODEL:?is not set}"; do
    [ -x "$program" ] || {
        echo "run.sh: $program is no program"
        exit 2
    }
done
ONNXQ=$(realpath "$ONNXQ") MAKE_MODEL=$(realpath "$MAKE_MODEL") LARGE_MODEL=$(realpath "$LARGE_MODEL")
export LC_ALL=C TMPDIR=$work/tmp
unset CI NO_COLOR
mkdir "$TMPDIR"

checks=0 failures=0 survived=0

fail() {
    echo "FAILED ${section}: $*"
    failures=$((failures + 1))
}

# ok WHAT COMMAND...: the command succeeds.
ok() {
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$what"
}

# exits CODE COMMAND...: runs it, with what it says in $said.
exits() {
    local wanted=$1 code=0
    shift
    checks=$((checks + 1))
    said=$("$@" 2>&1 </dev/null) || code=$?
    [ "$code" = "$wanted" ] || fail "exit code $code, expected $wanted: $*: $said"
}

# says TEXT: of the command before.
says() {
    checks=$((checks + 1))
    case $said in *"$1"*) ;; *) fail "no \"$1\" in: $said" ;; esac
}

no_temporary() {
    local left
    left=$(find . -name '*.tmp' -print; ls -A "$TMPDIR")
    checks=$((checks + 1))
    [ -z "$left" ] || fail "left behind: $left"
    find . -name '*.tmp' -delete
}

has() {
    command -v "$1" >/dev/null 2>&1
}

skip() {
    echo "skipped ${section}: $*"
}

# Seconds, up to a maximum, in steps that are spread by chance.
moment() {
    local most_ms=$1 ms
    ms=$((RANDOM % most_ms))
    printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

same() {
    cmp -s "$1" "$2"
}

# --- signals ---------------------------------------------------------------------

# run_signals OUT_EXISTS ARGUMENT...: the output is the new one, or what was there before.
run_signals() {
    local existed=$1 name delay pid i
    shift
    for ((i = 0; i < 25 * times; i++)); do
        for name in INT TERM HUP; do
            rm -f out.onnx out.onnx.data
            [ "$existed" = no ] || cp old.onnx out.onnx
            delay=$(moment 60)
            env --default-signal=INT "$ONNXQ" quantize -qq "$@" large.onnx out.onnx 2>/dev/null &
            pid=$!
            sleep "$delay"
            kill -s "$name" "$pid" 2>/dev/null
            wait "$pid" 2>/dev/null
            survived=$((survived + 1))
            checks=$((checks + 1))
            if [ -e out.onnx ] && same out.onnx new.onnx; then
                [ ! -e new.onnx.data ] || same out.onnx.data new.onnx.data ||
                    fail "$name after $delay s: model without its side file"
            elif [ "$existed" = no ]; then
                [ ! -e out.onnx ] || fail "$name after $delay s: a part of the output"
                [ ! -e out.onnx.data ] || fail "$name after $delay s: a side file alone"
            else
                same out.onnx old.onnx || fail "$name after $delay s: neither old nor new"
            fi
        done
    done
    no_temporary
}

section_signals() {
    env --default-signal=INT true 2>/dev/null || {
        skip "env has no --default-signal"
        return
    }
    "$LARGE_MODEL" $((times > 1 ? 100 : 24)) large.onnx
    echo old >old.onnx
    "$ONNXQ" quantize -qq large.onnx new.onnx
    run_signals no
    run_signals yes
    "$ONNXQ" quantize -qq --external-data always large.onnx out.onnx
    mv out.onnx new.onnx
    mv out.onnx.data new.onnx.data
    run_signals no --external-data always
}

# --- streams -----------------------------------------------------------------------

section_streams() {
    local streams
    "$MAKE_MODEL" demo demo.onnx
    "$ONNXQ" quantize -qq demo.onnx expected.onnx
    for streams in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
        rm -f out.onnx
        eval "\"\$ONNXQ\" quantize demo.onnx out.onnx >/dev/null 2>/dev/null $streams"
        ok "$streams" same out.onnx expected.onnx
        eval "\"\$ONNXQ\" inspect demo.onnx >/dev/null 2>/dev/null $streams"
        eval "\"\$ONNXQ\" quantize - out.onnx >/dev/null 2>/dev/null $streams"
        eval "\"\$ONNXQ\" quantize demo.onnx - >/dev/null 2>/dev/null $streams"
        survived=$((survived + 4))
    done
    # The reader is gone: with and without the signal for it.
    (
        trap - PIPE
        "$ONNXQ" quantize demo.onnx - 2>/dev/null
        echo "$?" >code
    ) | true
    ok "a closed pipe is exit code 4" grep -qx 4 code
    (
        "$ONNXQ" inspect -v demo.onnx 2>err
        echo "$?" >code
    ) | head -c 1 >/dev/null
    ok "a closed pipe is no crash" grep -qxE '0|4' code
    ok "a closed pipe is no message" test ! -s err
    if [ -c /dev/full ]; then
        exits 4 "$ONNXQ" quantize -qq demo.onnx /dev/full
        says "No space left"
        exits 4 sh -c "\"$ONNXQ\" inspect demo.onnx >/dev/full"
        says "standard output: cannot write"
    fi
    # By whatever name, standard output is written on: what else goes there stays, and text goes elsewhere.
    local name
    for name in - /dev/stdout /dev/fd/1; do
        "$ONNXQ" quantize demo.onnx "$name" 2>/dev/null | cat >out.onnx
        ok "$name into a pipe" same out.onnx expected.onnx
        : >out.onnx
        "$ONNXQ" quantize demo.onnx "$name" 2>/dev/null >>out.onnx
        ok "$name into a file" same out.onnx expected.onnx
        echo before >out.json
        "$ONNXQ" inspect "--json=$name" demo.onnx >>out.json
        ok "$name appends" test "$(head -n 1 out.json)" = before
        exits 2 "$ONNXQ" quantize -qq --external-data always demo.onnx "$name"
        says "takes no side file"
    done
    exits 0 "$ONNXQ" quantize -qq demo.onnx /dev/null
    ok "/dev/null is still a device" test -c /dev/null
    no_temporary
}

# --- room ---------------------------------------------------------------------------

section_room() {
    "$LARGE_MODEL" 2 large.onnx
    echo old >out.onnx
    cp out.onnx old
    # A limit to the size of a file: an error, not the signal that usually comes with it.
    exits 4 bash -c 'ulimit -f 100; exec "$0" quantize -qq large.onnx out.onnx' "$ONNXQ"
    says "File too large"
    ok "a limit of size keeps the old file" same out.onnx old
    exits 4 bash -c 'ulimit -f 100; exec "$0" quantize -qq --external-data always large.onnx out.onnx' "$ONNXQ"
    ok "a limit of size keeps the old pair" same out.onnx old
    ok "no side file" test ! -e out.onnx.data
    exits 4 bash -c 'ulimit -f 1; exec "$0" inspect --json=report large.onnx' "$ONNXQ"
    ok "no report" test ! -e report
    no_temporary
    # A full disk.
    mkdir disk
    if mount -t tmpfs -o size=200k tmpfs disk 2>/dev/null; then
        echo old >disk/out.onnx
        exits 4 "$ONNXQ" quantize -qq large.onnx disk/out.onnx
        says "No space left"
        exits 4 "$ONNXQ" quantize -qq --external-data always large.onnx disk/out.onnx
        ok "a full disk keeps the old file" same disk/out.onnx old
        ok "a full disk has nothing else" test "$(ls -A disk)" = out.onnx
        umount disk
    else
        skip "no tmpfs can be mounted for a full disk"
    fi
    # Few descriptors, little memory.
    exits 0 bash -c 'ulimit -n 10; exec "$0" quantize -qq large.onnx out.onnx' "$ONNXQ"
    "$ONNXQ" quantize -qq large.onnx expected.onnx
    ok "with 10 descriptors" same out.onnx expected.onnx
    no_temporary
    [ -z "${SANITIZED-}" ] || return # sanitizers reserve terabytes
    local kb
    for kb in 4000 8000 12000 16000 20000 30000 50000 100000; do
        cp old out.onnx
        bash -c 'ulimit -v "$1"; exec "$0" quantize -qq large.onnx out.onnx' "$ONNXQ" "$kb" >said 2>&1
        case $? in
        0) ok "$kb KB of memory" same out.onnx expected.onnx ;;
        71 | 127) ok "$kb KB of memory" same out.onnx old ;;
        *) grep -q 'error while loading\|cannot allocate\|failed to map' said ||
            fail "$kb KB of memory: $(cat said)" ;;
        esac
        survived=$((survived + 1))
    done
    no_temporary
}

section_folders() {
    "$MAKE_MODEL" demo demo.onnx
    "$ONNXQ" quantize -qq demo.onnx expected.onnx
    if [ "$(id -u)" = 0 ] && has setpriv; then
        chmod 755 "$work"
        cp "$ONNXQ" onnxq
        mkdir readonly
        cp demo.onnx readonly
        exits 4 setpriv --reuid 65534 --regid 65534 --clear-groups ./onnxq quantize -qq readonly/demo.onnx readonly/out.onnx
        says "Permission denied"
        ok "a folder that is not writable" test "$(ls readonly)" = demo.onnx
        chmod 000 readonly/demo.onnx
        exits 3 setpriv --reuid 65534 --regid 65534 --clear-groups ./onnxq inspect readonly/demo.onnx
        says "Permission denied"
    elif [ "$(id -u)" != 0 ]; then
        mkdir -m 555 readonly
        exits 4 "$ONNXQ" quantize -qq demo.onnx readonly/out.onnx
        says "Permission denied"
    else
        skip "READ-ONLY FOLDERS: this is root, and there is no setpriv"
    fi
    # What the output is already.
    mkdir folder
    exits 0 "$ONNXQ" quantize -qq demo.onnx folder
    ok "a folder takes the output" test -f folder/demo.int8.onnx
    rm folder/demo.int8.onnx
    mkdir folder/demo.int8.onnx
    exits 4 "$ONNXQ" quantize -qq -f demo.onnx folder/
    says "Is a directory"
    mkdir side.onnx.data
    exits 4 "$ONNXQ" quantize -qq --external-data always demo.onnx side.onnx
    ok "a folder in the side file's place" test ! -e side.onnx
    echo old >target
    ln -s target link.onnx
    exits 0 "$ONNXQ" quantize -qq demo.onnx link.onnx
    ok "a link stays a link" test -L link.onnx
    ok "a link's target is written" same target expected.onnx
    ln -s nowhere dangling.onnx
    exits 0 "$ONNXQ" quantize -qq demo.onnx dangling.onnx
    ok "a dangling link" same dangling.onnx expected.onnx
    ok "a dangling link stays a link" test -L dangling.onnx
    ln -s loop.onnx loop.onnx
    exits 4 "$ONNXQ" quantize -qq demo.onnx loop.onnx
    says "Too many levels"
    survived=$((survived + 1))
    mkfifo fifo
    cat fifo >from.onnx &
    exits 0 "$ONNXQ" quantize -qq demo.onnx fifo
    wait $!
    ok "through a FIFO" same from.onnx expected.onnx
    exits 2 "$ONNXQ" quantize -qq --external-data always demo.onnx fifo
    says "takes no side file"
    exits 2 "$ONNXQ" quantize -qq --external-data always demo.onnx /dev/null
    says "takes no side file"
    ok "no side file of a device" test ! -e /dev/null.data
    exits 3 "$ONNXQ" inspect fifo
    exits 3 "$ONNXQ" inspect /dev/zero
    exits 3 "$ONNXQ" inspect folder
    no_temporary
    # What lies where the side file goes: nobody named it, so it is not followed and not waited for.
    local way
    for way in "ln -s target" "ln -s nothing" mkfifo; do
        echo old >target
        $way planted.onnx.data
        exits 4 timeout -s KILL 10 "$ONNXQ" quantize -qq --external-data always demo.onnx planted.onnx
        says "expected a file or nothing"
        ok "$way: nothing is written" test ! -e planted.onnx
        ok "$way: nothing is redirected" test "$(cat target)" = old
        ok "$way: nothing is made" test ! -e nothing
        rm planted.onnx.data
    done
    if [ "$(id -u)" = 0 ] && has setpriv; then
        planted_by_others
    else
        skip "links of others: this is not root"
    fi
    # Modes.
    local mask
    chmod 666 demo.onnx
    for mask in 000 077 027 022; do
        (
            umask "$mask"
            "$ONNXQ" quantize -qq --external-data always demo.onnx "mode$mask.onnx"
            : >"mode$mask"
        )
        ok "umask $mask" test "$(stat -c %a "mode$mask.onnx" "mode$mask.onnx.data" | uniq)" = "$(stat -c %a "mode$mask")"
    done
    has_mode() {
        "$ONNXQ" quantize -qq -f --external-data always demo.onnx out.onnx --json=out.json
        ok "$2" test "$(stat -c %a out.onnx out.onnx.data out.json | tr '\n' ' ')" = "$1"
    }
    rm -f out.*
    chmod 640 demo.onnx
    has_mode "640 640 644 " "not more open than the input"
    chmod 604 out.onnx
    chmod 600 out.onnx.data out.json
    has_mode "600 600 600 " "as what is replaced, not more open than the input"
    chmod 666 demo.onnx
    chmod 664 out.onnx
    has_mode "664 600 600 " "as what is replaced"
    # A model that is given by a pipe has no rights of its own.
    rm -f out.*
    exits 0 sh -c "cat demo.onnx | \"$ONNXQ\" quantize -qq - out.onnx"
    ok "from a pipe" test "$(stat -c %a out.onnx)" = 644
}

# A folder that everybody writes to, with what somebody else has put there for root to write into.
planted_by_others() {
    mkdir -m 1777 open
    echo old >target
    local kind as_other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    "${as_other[@]}" ln -s ../target open/out.onnx
    "${as_other[@]}" ln -s ../target open/out.json
    "${as_other[@]}" mkfifo open/fifo.onnx
    exits 4 "$ONNXQ" quantize -qq demo.onnx open/out.onnx
    says "somebody else"
    exits 4 "$ONNXQ" quantize -qq demo.onnx -o open/new.onnx --json=open/out.json
    says "somebody else"
    exits 4 timeout -s KILL 10 "$ONNXQ" quantize -qq demo.onnx open/fifo.onnx
    says "somebody else"
    ok "nothing is redirected" test "$(cat target)" = old
    # The other way round: this is one of the others, who follows his own link in a folder of his own only.
    cp "$ONNXQ" open/onnxq
    cp demo.onnx open/demo.onnx
    for kind in sticky own; do
        "${as_other[@]}" mkdir -p "open/$kind"
    done
    chown 0 open/sticky
    chmod 1777 open/sticky
    "${as_other[@]}" ln -s result open/sticky/out.onnx
    "${as_other[@]}" ln -s result open/own/out.onnx
    exits 4 "${as_other[@]}" open/onnxq quantize -qq open/demo.onnx open/sticky/out.onnx
    says "somebody else"
    exits 0 "${as_other[@]}" open/onnxq quantize -qq open/demo.onnx open/own/out.onnx
    ok "his own link" test -f open/own/result
    exits 0 "${as_other[@]}" open/onnxq quantize -qq open/demo.onnx open/sticky/file.onnx
}

# --- paths and environment -------------------------------------------------------

section_paths() {
    local name long
    "$MAKE_MODEL" external model.onnx
    "$ONNXQ" quantize -qq --external-data never model.onnx expected.onnx
    for name in 'with space' $'new\nline' $'\377\376' $'esc\033[31m' '%s%n%d' './-f' '*' "quote'\"" \
        $'\342\200\256rtl' ' ' '...' 'a.onnx.data'; do
        exits 0 "$ONNXQ" quantize --external-data never model.onnx "$name"
        ok "as output: $(printf %q "$name")" same "$name" expected.onnx
        case $said in *$'\033'* | *$'\377'*) fail "control bytes of $(printf %q "$name") are shown" ;; esac
        cp -- "$name" "in$name" 2>/dev/null || cp -- "$name" "in"
        exits 0 "$ONNXQ" inspect "$name"
        case $said in *$'\033'* | *$'\377'*) fail "control bytes of $(printf %q "$name") are shown" ;; esac
        rm -f -- "$name"
    done
    exits 0 "$ONNXQ" quantize -qq --external-data never model.onnx --output=-dash
    ok "a dash as output" test -e ./-dash
    # The longest name, and a path of about PATH_MAX.
    long=$(printf 'n%.0s' {1..250})
    exits 0 "$ONNXQ" quantize -qq model.onnx "$long"
    ok "a name of 250 bytes" test -e "$long"
    exits 4 "$ONNXQ" quantize -qq model.onnx "$long$long"
    says "too long"
    long=$(printf './%.0s' {1..2030})
    exits 0 "$ONNXQ" quantize -qq --external-data never model.onnx "${long}long.onnx"
    ok "a path of PATH_MAX" same long.onnx expected.onnx
    long=$(printf './%.0s' {1..4000})
    exits 4 "$ONNXQ" quantize -qq model.onnx "${long}long.onnx"
    exits 3 "$ONNXQ" inspect "${long}model.onnx"
    no_temporary
}

section_environment() {
    local setting options
    "$MAKE_MODEL" demo demo.onnx
    "$ONNXQ" quantize -qq demo.onnx expected.onnx
    "$ONNXQ" quantize -qq --dry-run --json demo.onnx >expected.json
    for setting in LC_ALL=de_DE.UTF-8 LC_ALL=tr_TR.UTF-8 LC_NUMERIC=de_DE.UTF-8 LC_ALL=nonsense \
        TMPDIR=/nonexistent HOME= TERM= COLUMNS=0 COLUMNS=-1 POSIXLY_CORRECT=1 LD_BIND_NOW=1 \
        ONNXQ_THREADS=7 ONNXQ_METHOD=qdq ONNXQ_OPTIONS=--conv=skip ONNXQ_ORT_LIB=/nowhere \
        MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=1 OMP_NUM_THREADS=1 TZ=nonsense LANGUAGE=de NO_COLOR=1 \
        SOURCE_DATE_EPOCH=0 GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX512F; do
        rm -f out.onnx
        exits 0 env "$setting" "$ONNXQ" quantize -qq demo.onnx out.onnx
        ok "$setting" same out.onnx expected.onnx
        exits 0 env "$setting" "$ONNXQ" quantize -qq --dry-run --json demo.onnx
        ok "$setting: JSON" test "$said" = "$(cat expected.json)"
    done
    exits 0 env -i "$ONNXQ" quantize -qq demo.onnx out.onnx
    ok "no environment" same out.onnx expected.onnx
    for options in -j1 -j2 -j8; do
        "$ONNXQ" quantize -qq "$options" demo.onnx out.onnx
        ok "$options" same out.onnx expected.onnx
    done
    no_temporary
}

# --- several at once --------------------------------------------------------------

# One of the single results, whole.
is_one_of_results() {
    local i
    for i in "$@"; do
        if same out.onnx "single$i.onnx"; then
            [ ! -e "single$i.onnx.data" ] || same out.onnx.data "single$i.onnx.data"
            return
        fi
    done
    return 1
}

section_races() {
    local i round options=("" "-t uint8" "--no-per-channel" "--no-symmetric" "--reduce-range" \
        "--method weights" "--method qdq" "--exclude=w0")
    local external
    "$LARGE_MODEL" 4 large.onnx
    for external in never always; do
        for i in "${!options[@]}"; do
            rm -f out.onnx out.onnx.data
            # shellcheck disable=SC2086 # several words
            "$ONNXQ" quantize -qq --no-sync --external-data $external ${options[i]} large.onnx out.onnx
            mv out.onnx "single$i.onnx"
            rm -f "single$i.onnx.data"
            [ ! -e out.onnx.data ] || mv out.onnx.data "single$i.onnx.data"
        done
        for ((round = 0; round < 10 * times; round++)); do
            rm -f out.onnx out.onnx.data
            local many="0 1" pids=()
            [ $((round % 2)) = 0 ] || many="0 1 2 3 4 5 6 7"
            for i in $many; do
                # shellcheck disable=SC2086
                "$ONNXQ" quantize -qq --no-sync --external-data $external ${options[i]} large.onnx out.onnx &
                pids+=($!)
            done
            for i in "${pids[@]}"; do
                wait "$i" || fail "one of several runs: exit code $?"
            done
            survived=$((survived + ${#pids[@]}))
            # shellcheck disable=SC2086
            ok "$external, $many at once: the result is not one of theirs" is_one_of_results $many
            ok "the result opens" "$ONNXQ" inspect out.onnx >/dev/null
        done
    done
    no_temporary
    # A reader during the runs.
    rm -f single*.data
    for i in 0 1; do
        # shellcheck disable=SC2086
        "$ONNXQ" quantize -qq --no-sync ${options[i]} large.onnx "single$i.onnx"
    done
    cp single0.onnx out.onnx
    (
        for ((round = 0; round < 15 * times; round++)); do
            "$ONNXQ" quantize -qq --no-sync -t uint8 large.onnx out.onnx
            "$ONNXQ" quantize -qq --no-sync large.onnx out.onnx
        done
        : >finished
    ) &
    local reads=0
    while [ ! -e finished ]; do
        cp out.onnx seen.onnx
        same seen.onnx single0.onnx || same seen.onnx single1.onnx || fail "a reader sees a part"
        reads=$((reads + 1))
    done
    wait
    survived=$((survived + reads))
    checks=$((checks + reads))
    no_temporary
}

# --- side files ---------------------------------------------------------------------

# shrinks WHAT FILE NBYTES MOST_MS OPTION...: FILE is cut to NBYTES while model.onnx is quantized,
# which is an error without an output, or came too late.
shrinks() {
    local what=$1 file=$2 nbytes=$3 most_ms=$4 pid code=0
    shift 4
    rm -f out.onnx
    "$ONNXQ" quantize -qq --no-sync "$@" model.onnx out.onnx 2>/dev/null &
    pid=$!
    sleep "$(moment "$most_ms")"
    truncate -s "$nbytes" "$file"
    wait $pid || code=$?
    case $code in
    0) ok "$what that shrank late" same out.onnx expected.onnx ;;
    3) ok "$what that shrinks" test ! -e out.onnx ;;
    *) fail "$what that shrinks: exit code $code" ;;
    esac
    survived=$((survived + 1))
}

section_sidefiles() {
    local i pid
    "$MAKE_MODEL" external model.onnx
    mv model.onnx.data data
    refused() {
        ln -sfT "$1" model.onnx.data
        exits 3 timeout -s KILL 10 "$ONNXQ" quantize -qq model.onnx out.onnx
        says "$2"
        exits 3 timeout -s KILL 10 "$ONNXQ" inspect model.onnx
        ok "nothing is written" test ! -e out.onnx
        survived=$((survived + 2))
    }
    refused /etc/passwd "outside the model's folder"
    refused ../tmp "outside the model's folder"
    refused nowhere "No such file"
    refused model.onnx.data "Too many levels"
    refused /dev/zero "outside the model's folder"
    mkdir -p inner
    ln -sT /etc inner/etc
    refused inner/etc/passwd "outside the model's folder"
    refused inner "a folder"
    mkfifo fifo
    refused fifo "a FIFO"
    if mknod zero c 1 5 2>/dev/null; then
        refused zero "a device"
    fi
    rm model.onnx.data
    # Too short, and all of it a hole: 1 TB takes no longer than its use.
    head -c 1000 data >model.onnx.data
    exits 3 "$ONNXQ" quantize -qq model.onnx out.onnx
    : >model.onnx.data
    exits 3 "$ONNXQ" quantize -qq model.onnx out.onnx
    cp data model.onnx.data
    "$ONNXQ" quantize -qq --external-data never model.onnx expected.onnx
    if truncate -s 1T model.onnx.data 2>/dev/null; then
        exits 0 "$ONNXQ" quantize -qq --external-data never model.onnx out.onnx
        ok "a side file of 1 TB" same out.onnx expected.onnx
        exits 0 "$ONNXQ" inspect model.onnx
    else
        skip "no sparse file of 1 TB here"
    fi
    # It grows, which is nobody's business; it shrinks, which is an error or came too late.
    for ((i = 0; i < 10 * times; i++)); do
        cp data model.onnx.data
        rm -f out.onnx
        "$ONNXQ" quantize -qq --no-sync --external-data never model.onnx out.onnx 2>/dev/null &
        pid=$!
        cat data >>model.onnx.data
        wait $pid
        ok "a side file that grows" same out.onnx expected.onnx
        cp data model.onnx.data
        shrinks "a side file" model.onnx.data 0 10 --external-data never
        survived=$((survived + 1))
    done
    # What is read is not written: the output's side file would be the input's.
    cp data model.onnx.data
    cp model.onnx other.onnx
    exits 2 "$ONNXQ" quantize -qqf other.onnx model.onnx
    says "is an input file"
    ln -f model.onnx.data out.onnx.data
    exits 2 "$ONNXQ" quantize -qq --external-data always other.onnx out.onnx
    says "is an input file"
    rm -f out.onnx.data
    ln -s model.onnx.data out.onnx.data
    exits 2 "$ONNXQ" quantize -qq --external-data always other.onnx out.onnx
    says "is an input file"
    ok "the side file is as it was" same data model.onnx.data
    no_temporary
}

# --- a file that ends while it is read --------------------------------------------

section_inputs() {
    local i
    "$LARGE_MODEL" 8 whole.onnx
    "$ONNXQ" quantize -qq whole.onnx expected.onnx
    for ((i = 0; i < 10 * times; i++)); do
        cp whole.onnx model.onnx
        shrinks "a model" model.onnx $((RANDOM * 100)) 20
    done
    no_temporary
}

# --- names --------------------------------------------------------------------------

section_names() {
    if ! has python3; then
        skip "there is no python3 to read what is shown"
        return
    fi
    ok "names" python3 "$here/names.py" "$ONNXQ" "$MAKE_MODEL"
}

sections=("$@")
[ $# -gt 0 ] || sections=(signals streams room folders paths environment races sidefiles inputs names)
for section in "${sections[@]}"; do
    rm -rf "$work/here"
    mkdir "$work/here"
    cd "$work/here" || exit 2
    "section_$section"
done
echo "$checks checks, $failures failed; $survived times something went wrong around onnxq"
[ "$failures" = 0 ]
