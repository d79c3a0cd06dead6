#!/bin/sh
# reproducible.sh CMAKE CC SOURCE-FOLDER
# The same source, built in two places with other names and at other times, gives
# the same command, library and archive, byte by byte: as it is released, and
# with ONNXQ_REPRODUCIBLE with debug information as well.
set -eu
cmake=$1 cc=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build SOURCE BUILD
build() {
    rm -rf "$1" "$2"
    mkdir -p "$1"
    (cd "$source" && cp -R CMakeLists.txt README.md CHANGELOG.md LICENSE docs cmake include proto src tests "$1")
    find "$1" -exec touch {} +
    "$cmake" -S "$1" -B "$2" -DCMAKE_C_COMPILER="$cc" -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE="$type" \
        -DONNXQ_REPRODUCIBLE="$mapped" >/dev/null
    "$cmake" --build "$2" --parallel "${JOBS:-2}" >/dev/null
    # Installed, since the build folder's own path is in what is run from there.
    "$cmake" --install "$2" --prefix "$2/installed" >/dev/null
}

# compare TYPE ONNXQ_REPRODUCIBLE
compare() {
    type=$1 mapped=$2 different=false
    build "$work/a" "$work/a/build"
    (
        umask 077
        export TZ=Asia/Tokyo LC_ALL=C
        build "$work/a second/and longer/place" "$work/elsewhere"
    )
    (cd "$work/a/build/installed" &&
        find . -type f \( -path './bin/*' -o -name '*.a' -o -name '*.so*' \)) >"$work/files"
    while read -r name; do
        cmp "$work/a/build/installed/$name" "$work/elsewhere/installed/$name" || different=true
    done <"$work/files"
    [ -s "$work/files" ] && ! $different || exit 1
    echo "$type: $(wc -l <"$work/files") files are the same"
}

compare Release OFF
compare RelWithDebInfo ON
