#!/usr/bin/env bash
# examples.sh PYTHON
# Runs all that is in examples/, in copies of its folders, with what build/release installs and a
# Python that has onnx, numpy and onnxruntime.
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$root/build/tmp/examples
rm -rf "$work"
mkdir -p "$work"
cp -R "$root"/examples/* "$work"
prefix=$work/installed
cmake --install "$root/build/release" --prefix "$prefix" >/dev/null
cd "$work"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name onnxq.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
ONNXQ_ORT_LIB=$("$python" -c 'import os, onnxruntime; print(os.path.dirname(onnxruntime.__file__) + "/capi")')
export PKG_CONFIG_PATH LD_LIBRARY_PATH ONNXQ_ORT_LIB PATH=$prefix/bin:$PATH
"$root/build/release/tests/make_model" demo model.onnx
flags=$(pkg-config --cflags --libs onnxq)

say() {
    printf '== %s\n' "$*"
}

say c
# shellcheck disable=SC2086 # several words
${CC:-cc} -Wall -Wextra -Werror -o c/quantize c/quantize.c $flags
c/quantize model.onnx c/out.onnx
status=0
c/quantize none.onnx c/out.onnx || status=$?
[ $status -eq 3 ]

if command -v c++ >/dev/null; then
    say cpp
    # shellcheck disable=SC2086
    c++ -std=c++11 -Wall -Wextra -Werror -o cpp/quantize cpp/quantize.cpp $flags
    cpp/quantize model.onnx cpp/out.onnx
    cmp c/out.onnx cpp/out.onnx
    if cpp/quantize none.onnx cpp/out.onnx; then exit 1; fi
fi

say python
ONNXQ_LIBRARY=$(echo "$LD_LIBRARY_PATH"/libonnxq.so.?) ONNXQ_COMMAND=$prefix/bin/onnxq PYTHONPATH=$root/python \
    "$python" python/quantize.py model.onnx python/out.onnx

say make
cp model.onnx make
onnxq dequantize -q --external-data always c/out.onnx make/beside.onnx
make -C make
[ -s make/model.int8.onnx ] && [ -s make/beside.int8.onnx.data ]
for file in model.onnx beside.onnx.data; do
    if make -q -C make; then say "nothing to do the second time"; else exit 1; fi
    touch -d '+1 minute' "make/$file"
    if make -q -C make; then exit 1; fi
    make -C make
    touch make/model.onnx make/beside.onnx.data make/*.int8.onnx
done
make -C make clean
[ ! -e make/model.int8.onnx ]

say deploy
make -C deploy PYTHON="$python"
for report in quantize check framework bench; do
    "$python" -m json.tool "deploy/build/$report.json" >/dev/null
done
# A tolerance that is passed stops the pipeline, and leaves no report to be taken for one.
touch -d '+1 minute' deploy/build/inputs.npz
if make -C deploy PYTHON="$python" TOLERANCES='--abs-tol 1e-9' 2>&1; then exit 1; fi
echo "examples: 5 passed, 0 failed"
