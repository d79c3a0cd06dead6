# MODEL and OUT as streams.
make_model demo demo.onnx
onnxq quantize -q demo.onnx expected.onnx >/dev/null
cat demo.onnx | run onnxq quantize -q - piped.onnx
run onnxq quantize -q - redirected.onnx <demo.onnx
(read -r line; run onnxq quantize -q - offset.onnx) <demo.onnx
cat demo.onnx | onnxq quantize - >filtered.onnx 2>text
steady <text
cat demo.onnx | onnxq quantize -q - - 2>/dev/null | cat >both.onnx
onnxq quantize -qq demo.onnx - >written.onnx
for file in piped redirected filtered both written; do same $file.onnx expected.onnx; done
cat demo.onnx | run onnxq quantize -q --dry-run -
run onnxq quantize - </dev/null
head -c 1000 demo.onnx | run onnxq quantize -
run onnxq quantize -d folder - <demo.onnx
run onnxq quantize --json demo.onnx - >mixed
cat mixed
TMPDIR=/nonexistent
export TMPDIR
cat demo.onnx | onnxq quantize - - ; echo "exit $?"
TMPDIR=.. onnxq quantize -qq - out.onnx <demo.onnx
ls
