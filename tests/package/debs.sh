#!/usr/bin/env bash
# debs.sh
# What tools/debs builds, unpacked into a folder: lintian finds nothing new (where it is installed),
# command, library and development files work from there, and a second run gives the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$PWD/build/tmp/debs
rm -rf "$work" build/debs
mkdir -p "$work/unpacked"
tools/debs "$work/dist"
ls "$work"/dist/onnxq_*.deb "$work"/dist/libonnxq0_*.deb "$work"/dist/libonnxq-dev_*.deb

if command -v lintian >/dev/null; then
    # No bug asks for the package; CMake writes scripts that call ldconfig beside the trigger.
    lintian --fail-on error,warning \
        --suppress-tags initial-upload-closes-no-bugs,maintscript-calls-ldconfig "$work"/dist/*.deb
fi
dpkg-deb --field "$work"/dist/onnxq_*.deb Suggests | grep python3-onnxruntime
for package in "$work"/dist/*.deb; do
    dpkg-deb --extract "$package" "$work/unpacked"
done
build/release/tests/make_model demo "$work/model.onnx"
"$work/unpacked/usr/bin/onnxq" quantize -q "$work/model.onnx" "$work/out.onnx"
libraries=$(dirname "$(find "$work/unpacked" -name 'libonnxq.so.0')")
"${CC:-cc}" -o "$work/program" examples/c/quantize.c -I"$work/unpacked/usr/include" -L"$libraries" -lonnxq
LD_LIBRARY_PATH=$libraries "$work/program" "$work/model.onnx" "$work/other.onnx"
cmp "$work/out.onnx" "$work/other.onnx"

tools/debs "$work/again"
for package in "$work"/dist/*.deb; do
    cmp "$package" "$work/again/${package##*/}"
done
echo "packages for Debian: 3 passed, 0 failed"
