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

say "manual page, completions, licence and documents"
if command -v man >/dev/null; then
    man --warnings -l "$prefix/share/man/man1/onnxq.1" >"$work/page" 2>"$work/warnings"
    test ! -s "$work/warnings"
    grep -q -e '--per-channel\|--\[no-\]per-channel' "$work/page"
fi
for file in share/man/man1/onnxq.1 share/bash-completion/completions/onnxq share/zsh/vendor-completions/_onnxq \
    share/fish/vendor_completions.d/onnxq.fish share/doc/onnxq/LICENSE share/doc/onnxq/README.md \
    share/doc/onnxq/report.md; do
    test -s "$prefix/$file"
done

say "find_package, shared and static, and onnxq_quantize()"
"$MAKE_MODEL" demo "$work/model.onnx"
: >"$work/list"
"$cmake" -S "$here" -B "$work/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" \
    -DMODEL="$work/model.onnx" -DLIST="$work/list"
"$cmake" --build "$work/build"
"$work/build/with_onnxq"
"$work/build/with_onnxq_static"
for file in model.int8.onnx folder/model.onnx folder/model.onnx.data folder/of-a-list.onnx; do
    test -s "$work/build/$file"
done

say "onnxq_quantize(): nothing twice, and again when the model or what it depends on changes"
"$cmake" --build "$work/build" >"$work/said"
if grep Quantizing "$work/said"; then exit 1; fi
touch -d '+1 minute' "$work/list"
"$cmake" --build "$work/build" >"$work/said"
test "$(grep -c Quantizing "$work/said")" -eq 1
rm "$work/build/folder/model.onnx"
"$cmake" --build "$work/build" --target clean
test ! -e "$work/build/folder/model.onnx.data"

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

say "FetchContent: built along, with onnxq_quantize()"
"$cmake" -S "$here" -B "$work/along" -DCMAKE_C_COMPILER="$cc" -DMODEL="$work/model.onnx" \
    -DLIST="$work/list" -DONNXQ_SOURCE="$here/../.." -DFETCHCONTENT_QUIET=ON >"$work/said"
if [ "${PACKAGE_TEST-}" = all ]; then # it compiles onnxq once more
    "$cmake" --build "$work/along" --parallel "${JOBS:-2}" >"$work/said"
    test -s "$work/along/folder/model.onnx.data"
else
    "$cmake" --build "$work/along" --target help >"$work/said"
    grep -q quantized_model "$work/said"
fi
