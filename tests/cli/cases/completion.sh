# The scripts are understood by their shells and know what the tables know.
for shell in bash zsh fish; do
    onnxq completion $shell >script.$shell
    if has $shell; then $shell -n script.$shell; fi
    for word in quantize completion per-channel no-per-channel nodes_to_exclude 'fold integer matmul skip'; do
        grep -q -e "$word" script.$shell || echo "$shell: no $word"
    done
done
has bash || exit 0
cat >try.bash <<'END'
source ./script.bash
compopt() { :; }
try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _onnxq; echo "$* -> ${COMPREPLY[*]}"; }
try onnxq ""
try onnxq q
try onnxq --v
try onnxq help comp
try onnxq completion z
try onnxq quantize --con
try onnxq quantize --conv ""
try onnxq quantize --conv = f
try onnxq quantize --conv =
try onnxq quantize -t u
try onnxq quantize --reduce-range = ""
try onnxq quantize --reduce-range try
try onnxq quantize --json = try
try onnxq quantize try
try onnxq quantize --min-elements ""
END
bash try.bash
