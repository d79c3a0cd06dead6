# On a terminal lines end at its edge, between columns or words; names stay whole.
has script || skip "there is no script(1)"
script -qec true /dev/null >/dev/null 2>&1 || skip "script(1) is another one"
make_model demo demo.onnx
onnxq quantize -q demo.onnx >/dev/null
show() { # COLUMNS COMMAND: what a terminal of that width shows
    echo "\$ $2  # $1 columns"
    script -qec "stty cols $1; $2" /dev/null | sed 's,\r$,,; s,.*\r,,' | steady
}
for columns in 60 80; do
    show $columns 'onnxq quantize -v --dry-run demo.onnx'
    show $columns 'onnxq dequantize --dry-run demo.int8.onnx'
done
show 200 'onnxq quantize --dry-run demo.onnx' | head -n 4
for command in 'quantize --dry-run demo.onnx' 'inspect demo.onnx' 'inspect -vv demo.int8.onnx' \
    'dequantize --dry-run demo.int8.onnx' 'inspect --validate demo.onnx'; do
    show 80 "onnxq $command" | awk 'length > 80'
done
