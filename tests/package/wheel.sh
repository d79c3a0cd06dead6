#!/usr/bin/env bash
# wheel.sh TARGET...
# The wheels that tools/wheel builds, as somebody installs them: what auditwheel says of them, the
# command and the API in a new environment, with the packages of build/venv beside. Those of arm64
# run in qemu. With `again` first, also that building once more gives the same bytes; with `sdist`,
# that pip builds the sdist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=$root/build/tmp/wheel-test
again=false sdist=false targets=()
for argument in "$@"; do
    case $argument in
    again) again=true ;;
    sdist) sdist=true ;;
    *) targets+=("$argument") ;;
    esac
done
rm -rf "$work"
mkdir -p "$work"
unset ONNXQ_LIBRARY ONNXQ_COMMAND PYTHONPATH

# wheel_of TARGET FOLDER
wheel_of() {
    local files=("$2"/onnxq-*"${1#*-}"*"${1%-*}".whl)
    [ "${1#*-}" = musl ] || files=("$2"/onnxq-*manylinux*"${1%-*}".whl)
    [ ${#files[@]} -eq 1 ] && [ -s "${files[0]}" ] && echo "${files[0]}"
}

# A platform's tag, as auditwheel names what a wheel for glibc can be.
expect_tag() {
    local tag=manylinux_2_17_${1%-*}
    [ "${1#*-}" = gnu ] || return 0
    build/wheel/venv/bin/auditwheel show "$2" | tee "$work/said"
    tr '\n' ' ' <"$work/said" | grep -q "platform tag: \"$tag\""
}

new_environment() {
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --no-index --no-deps --disable-pip-version-check "$1"
}

use_here() {
    new_environment "$1"
    # What is installed finds itself, whatever the current folder is and without being activated.
    (cd / && "$work/venv/bin/onnxq" --version && "$work/venv/bin/python" -m onnxq --version)
    local packages
    packages=$(build/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    PYTHONPATH=$packages "$work/venv/bin/python" tests/python/test_api.py
}

smoke='
import onnxq, sys
report = onnxq.quantize(sys.argv[1], sys.argv[2])
assert report["summary"]["quantized"] > 0, report
try:
    onnxq.quantize("none.onnx", "out.onnx")
except onnxq.InputError as error:
    assert (error.code, error.file) == (3, "none.onnx"), error
else:
    raise SystemExit("no error")
print("onnxq", onnxq.__version__, "works")'

# On another processor: the command, and the package in its own Python.
use_in_qemu() {
    local python=build/arm64-python run=(qemu-aarch64 -L build/arm64-python)
    tools/arm64-root "$python" libc6 libcrypt1 libgcc-s1 python3.11-minimal libpython3.11-minimal \
        libpython3.11-stdlib libffi8 zlib1g libexpat1 liblzma5 libbz2-1.0 libssl3 libuuid1
    rm -rf "$work/unpacked"
    python3 -m zipfile -e "$1" "$work/unpacked"
    chmod +x "$work"/unpacked/*.data/scripts/onnxq
    "${run[@]}" "$work"/unpacked/*.data/scripts/onnxq quantize -q "$work/model.onnx" "$work/arm64.onnx"
    cmp "$work/arm64.onnx" "$work/here.onnx"
    PYTHONPATH=$work/unpacked "${run[@]}" -E LC_ALL=C.UTF-8 "$python/usr/bin/python3.11" -c "$smoke" \
        "$work/model.onnx" "$work/arm64.onnx"
    cmp "$work/arm64.onnx" "$work/here.onnx"
}

# With Debian's musl, which has no Python: the command, and a program that is linked to the library.
use_with_musl() {
    local processor=${2%-*} cc=build/wheel/$2/cc status=0 root run command
    root=$PWD/build/musl-$processor
    ARCHITECTURE=${debian_names[$processor]} tools/arm64-root "build/musl-$processor" musl
    run=("$root/lib/ld-musl-$processor.so.1")
    [ "$processor" = "$(uname -m)" ] || run=("qemu-$processor" -E "LD_LIBRARY_PATH=$work/unpacked/onnxq" -L "$root")
    rm -rf "$work/unpacked"
    python3 -m zipfile -e "$1" "$work/unpacked"
    command=$(echo "$work"/unpacked/*.data/scripts/onnxq)
    chmod +x "$command"
    readelf --program-headers "$command" | grep "/lib/ld-musl-$processor.so.1"
    # Nothing else than musl, by the name that its loader knows on all systems. auditwheel asks for Alpine's.
    readelf --dynamic "$work/unpacked/onnxq/libonnxq.so" "$command" | grep NEEDED | grep -v '\[libc.so\]' && return 1
    "${run[@]}" "$command" quantize -q "$work/model.onnx" "$work/musl.onnx"
    cmp "$work/musl.onnx" "$work/here.onnx"
    # It can open libraries, but finds no engine, and says so.
    "${run[@]}" "$command" check --ort-lib "$work" "$work/model.onnx" "$work/musl.onnx" || status=$?
    [ "$status" -eq 6 ]
    "$cc" -Iinclude tests/package/consumer.c "$work/unpacked/onnxq/libonnxq.so" -o "$work/consumer"
    ln -s libonnxq.so "$work/unpacked/onnxq/libonnxq.so.0"
    LD_LIBRARY_PATH=$work/unpacked/onnxq "${run[@]}" "$work/consumer"
}
declare -A debian_names=([x86_64]=amd64 [aarch64]=arm64)

build/release/tests/make_model demo "$work/model.onnx"
build/release/onnxq quantize -q "$work/model.onnx" "$work/here.onnx"
list=$(IFS=, && echo "${targets[*]}")
rm -f build/wheel/dist/*.whl build/wheel/dist/*.tar.gz
tools/wheel --targets "$list"
MYPY_CACHE_DIR=build/mypy build/wheel/venv/bin/mypy --strict python/onnxq
for target in "${targets[@]}"; do
    echo "== $target"
    wheel=$(wheel_of "$target" build/wheel/dist)
    expect_tag "$target" "$wheel"
    case $target in
    "$(uname -m)-gnu") use_here "$wheel" ;;
    aarch64-gnu) use_in_qemu "$wheel" ;;
    *-musl) use_with_musl "$wheel" "$target" ;;
    esac
done
if $again; then
    echo "== again"
    for target in "${targets[@]}"; do
        rm -r "build/wheel/$target/onnxq"
    done
    tools/wheel --targets "$list" --out "$work/again"
    for file in "$work"/again/*; do
        cmp "$file" "build/wheel/dist/${file##*/}"
    done
fi
if $sdist; then
    echo "== sdist"
    "$root/build/wheel/venv/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation \
        --wheel-dir "$work" build/wheel/dist/onnxq-*.tar.gz
    use_here "$work"/onnxq-*-linux_*.whl
fi
echo "wheels: ${#targets[@]} passed, 0 failed"
