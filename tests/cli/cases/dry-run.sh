# The plan is shown and nothing is written.
make_model demo demo.onnx
run onnxq quantize --dry-run demo.onnx
run onnxq quantize --dry-run -q demo.onnx
run onnxq quantize --dry-run demo.onnx - -q
run onnxq quantize --dry-run -qq demo.onnx
run onnxq quantize --dry-run -q -d folder demo.onnx
touch demo.int8.onnx
run onnxq quantize --dry-run -q demo.onnx
run onnxq quantize --dry-run -q -f demo.onnx
make_model nothing nothing.onnx
run onnxq quantize --dry-run nothing.onnx
run onnxq quantize --dry-run nothing.onnx --allow-noop
run ls
# What it says about the size is so.
said=$(onnxq quantize --dry-run --json demo.onnx | sed -n 's/.*"nbytes_after": \([0-9]*\).*/\1/p' | head -n 1)
onnxq quantize -qq demo.onnx out.onnx
[ "$said" = $(($(wc -c <out.onnx))) ] || echo "said $said, is $(wc -c <out.onnx)"
