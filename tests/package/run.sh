#!/bin/sh
# Installs into a folder of the build tree, moves that folder, and builds a
# program against it in every way that the README promises:
# run.sh CMAKE CC BUILD_DIR CONFIG
set -eu
cmake=$1 cc=$2 build=$3 config=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$build/tests/package
prefix=$work/moved

say() {
    echo "package: $*"
}

rm -rf "$work"
mkdir -p "$work"
say "install"
"$cmake" --install "$build" --config "$config" --prefix "$work/installed"
mv "$work/installed" "$prefix"

say "the command runs"
"$prefix/bin/onnxq" --version

say "find_package, shared and static, and onnxq_quantize()"
"$MAKE_MODEL" demo "$work/model.onnx"
"$cmake" -S "$here" -B "$work/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" \
    -DMODEL="$work/model.onnx"
"$cmake" --build "$work/build"
"$work/build/with_onnxq"
"$work/build/with_onnxq_static"
test -s "$work/build/model.int8.onnx"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name onnxq.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH

say "pkg-config, shared and static"
# The output of pkg-config is meant to be split.
# shellcheck disable=SC2046
"$cc" -o "$work/shared" "$here/consumer.c" $(pkg-config --cflags --libs onnxq)
"$work/shared"
rm -f "$LD_LIBRARY_PATH"/libonnxq.so*
# shellcheck disable=SC2046
"$cc" -o "$work/static" "$here/consumer.c" $(pkg-config --cflags --libs --static onnxq)
"$work/static"

if command -v c++; then
    say "the header in C++"
    # shellcheck disable=SC2046
    c++ -std=c++11 -Wall -Wextra -pedantic -Werror -fsyntax-only -x c++ "$here/consumer.c" \
        $(pkg-config --cflags onnxq)
fi
