#!/bin/sh
# The bytes that onnxq writes are those of its input and its options, and of
# nothing else: run.sh [--others-only] [COMMAND...]
#
# Each kind of model of make_model goes through each method, and comes out the
# same for any number of threads, by any path, from any folder, with another
# environment, and with another COMMAND, which is an onnxq of another processor,
# such as "qemu-x86_64 -cpu Nehalem build/release/onnxq". --others-only: that
# last one alone.
#
# ONNXQ and MAKE_MODEL are the programs under test.
set -u
# shellcheck source=tests/support/defaults.sh
. "$(dirname "$0")/../support/defaults.sh"
for program in "${ONNXQ:?is not set: the program to test}" "${MAKE_MODEL:?is not set}"; do
    [ -x "$program" ] || { echo "run.sh: $program is no program"; exit 2; }
done
onnxq=$(realpath "$ONNXQ") make_model=$(realpath "$MAKE_MODEL")
others_only=false
[ "${1-}" = --others-only ] && others_only=true && shift

# NAME OPTIONS; what each writes goes through dequantize as well.
methods='default
weights --method weights
qdq --method qdq --bits 8 --external-data always
int4 --method blocks --bits 4 --block-size 32
blocks --method blocks --no-symmetric
nf4 --method blocks --bits nf4
tensor --weight-type uint8 --no-per-channel --no-symmetric --conv integer
pairs --reduce-range=pairs --external-data always --force-integer'

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir "$work/models" "$work/expected" "$work/actual" "$work/folder"
ln -s "$work/models" "$work/folder/link"
n_same=0 n_different=0
unmoved=
setarch -R true 2>/dev/null && unmoved='setarch -R '
others=
for other; do
    others="$others$other
"
done

# convert COMMAND IN OUT [OPTION...]: quantize or dequantize, which $verb says.
convert() {
    command=$1 from=$2 to=$3
    shift 3
    # shellcheck disable=SC2086 # a command with its arguments
    $command "$verb" -qq --no-sync --allow-noop "$@" "$from" "$to"
}

# The side file's name is in the model, so that both have the names of the expected ones.
same() {
    for name in out.onnx out.onnx.data; do
        [ -e "$work/expected/$name" ] || [ -e "$work/actual/$name" ] || continue
        if cmp "$work/expected/$name" "$work/actual/$name"; then
            n_same=$((n_same + 1))
        else
            echo "--- different: $kind, $method: $1"
            n_different=$((n_different + 1))
        fi
    done
    rm -f "$work"/actual/*
}

# check_here IN [OPTION...]: what the first run had otherwise: one thread, an absolute path. Each
# run changes several things at once: whichever of them mattered, the bytes would be others.
check_here() {
    in=$1
    shift
    convert "$onnxq" "$in" "$work/actual/out.onnx" "$@"
    same "as many threads as there are processors"
    (cd "$work/folder" && convert "$onnxq" "link/${in##*/}" ../actual/out.onnx "$@" -j 2)
    same "2 threads, relative paths, through a symbolic link, another folder"
    (cd "$work/actual" &&
        convert "env -i LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo MALLOC_PERTURB_=165 $onnxq" "$in" out.onnx "$@" -j 3)
    same "3 threads, in the folder of the output, another environment"
    convert "${unmoved}$onnxq" "$in" "$work/actual/out.onnx" "$@" -j 64
    same "64 threads${unmoved:+, no random addresses}"
}

# check IN [OPTION...]
check() {
    in=$1
    shift
    if ! convert "$onnxq" "$in" "$work/expected/out.onnx" "$@" -j 1; then
        echo "--- failed: $kind, $method"
        n_different=$((n_different + 1))
        return
    fi
    $others_only || check_here "$in" "$@"
    while IFS= read -r other; do
        [ -n "$other" ] || continue
        convert "$other" "$in" "$work/actual/out.onnx" "$@" </dev/null
        same "$other"
    done <<EOT
$others
EOT
}

for kind in $("$make_model" --list); do
    model=$work/models/$kind.onnx
    "$make_model" "$kind" "$model" || exit 1
    while read -r method options; do
        verb=quantize
        # shellcheck disable=SC2086 # several options
        check "$model" $options
        # And back again.
        mv "$work"/expected/* "$work/models/"
        verb=dequantize method="$method, dequantized"
        check "$work/models/out.onnx"
        rm -f "$work"/expected/* "$work"/models/out.onnx*
    done <<EOT
$methods
EOT
done
echo "$n_same files are the same, $n_different are not"
[ "$n_different" = 0 ]
