# What the scripts in this folder share. It is sourced, goes to the root of the
# project, and keeps everything that a run leaves behind inside build/.
# shellcheck shell=bash

set -euo pipefail

# What is started with signals ignored (nohup, `&`) would hand that on to all that it starts, which
# a shell cannot undo. So it runs once more with all of them by default, in a session of its own,
# which no terminal's hangup or Ctrl-C reaches: what was to be ignored is.
run_in_own_session() {
    local status=0
    setsid env --default-signal "$0" "$@" </dev/null &
    trap 'kill -- -$!' TERM
    while wait $! || status=$?; [ $status -gt 128 ] && kill -0 $! 2>/dev/null; do
        status=0
    done
    exit $status
}

if trap -p | grep -qE 'SIG(HUP|INT|QUIT|TERM)$' && env --default-signal setsid true 2>/dev/null; then
    run_in_own_session "$@"
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
jobs=${JOBS:-2}
mkdir -p build/logs build/tmp
export CC=${CC:-gcc} # taken when a build folder is configured for the first time
export TMPDIR=$root/build/tmp PYTHONPYCACHEPREFIX=$root/build/pycache

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# step TEXT COMMAND...: one line on the screen, the output in build/logs. When
# the command fails, the end of its output is shown and the script stops.
step() {
    local text=$1 log start=$SECONDS
    shift
    log=build/logs/$(printf '%s' "${text%%:*}" | tr -cs 'A-Za-z0-9' '-').log
    printf '%-74s' "$text"
    # Not `if COMMAND`: inside a condition a function would go on after an error.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    local status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        printf ' ok %4d s\n' $((SECONDS - start))
    else
        printf ' FAILED\n'
        grep -av '^SKIP' "$log" | tail -n 60 | sed 's/^/    /' >&2
        die "failed: ${text%%:*} (all of its output: $log)"
    fi
}

missing_packages=()
missing_things=()

# need PACKAGE THING COMMAND...: COMMAND succeeds where THING is there; PACKAGE
# is what Debian and Ubuntu call it.
need() {
    local package=$1 thing=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing_packages+=("$package")
        missing_things+=("$thing")
    fi
}

has() {
    command -v "$1"
}

has_compiler() {
    has "$CC" && has make
}

has_protoc_c() {
    has protoc-c || has protoc-gen-c
}

need_to_build() {
    need build-essential "a C compiler and make" has_compiler
    need cmake "CMake 3.21 or newer" has cmake
    need pkg-config "pkg-config" has pkg-config
    need libprotobuf-c-dev "protobuf-c 1.4 or newer" pkg-config --atleast-version=1.4 libprotobuf-c
    need protobuf-c-compiler "its compiler protoc-c" has_protoc_c
    need zlib1g-dev "zlib 1.2.11 or newer" pkg-config --atleast-version=1.2.11 zlib
    need libpng-dev "libpng 1.6 or newer (PNG pictures as inputs)" pkg-config --atleast-version=1.6 libpng
    need libjpeg-dev "libjpeg-turbo (JPEG pictures as inputs)" pkg-config --exists libjpeg
}

install_missing() {
    if [ ${#missing_packages[@]} -eq 0 ]; then
        return
    fi
    if ! has apt-get >/dev/null; then
        printf 'Please install these and start again:\n' >&2
        printf '  - %s\n' "${missing_things[@]}" >&2
        exit 1
    fi
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo >/dev/null ||
            die "not root and no sudo; please run: apt-get install ${missing_packages[*]}"
        sudo=(sudo)
    fi
    printf 'Installing %s\n' "${missing_packages[*]}"
    "${sudo[@]}" apt-get update -qq || printf 'apt-get update failed, trying with what is known\n' >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" >build/logs/apt.log ||
        die "apt-get install failed: ${missing_packages[*]}"
    missing_packages=()
    missing_things=()
}

# build PRESET [OPTION...]
build() {
    local preset=$1
    shift
    cmake --preset "$preset" "$@"
    cmake --build --preset "$preset" --parallel "$jobs"
}

# build_only PRESET TARGET...: what its tests need and no more.
build_only() {
    cmake --preset "$1" -DBUILD_TESTING=ON
    cmake --build --preset "$1" --parallel "$jobs" --target "${@:2}"
}
