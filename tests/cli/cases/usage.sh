# What is not understood is said, with the nearest name.
run onnxq
run onnxq quantise demo.onnx
run onnxq model.onnx
run onnxq frobnicate
run onnxq --verion
run onnxq --
run onnxq --version quantize
run onnxq quantize
run onnxq quantize --per-chanel demo.onnx
run onnxq quantize --no-per_chanel demo.onnx
run onnxq quantize --out demo.onnx
run onnxq quantize --no-json demo.onnx
run onnxq quantize --quite demo.onnx
run onnxq quantize -x demo.onnx
run onnxq quantize -qx demo.onnx
run onnxq quantize -output demo.onnx
run onnxq quantize demo.onnx -o
run onnxq quantize demo.onnx -o --force
run onnxq quantize demo.onnx --output=
run onnxq quantize --conv fodl demo.onnx
run onnxq quantize --conv nonsense demo.onnx
run onnxq quantize -t int demo.onnx
run onnxq quantize --verbose=2 demo.onnx
run onnxq quantize --no-sync=1 demo.onnx
run onnxq quantize --per-channel=maybe demo.onnx
run onnxq quantize --progress=maybe demo.onnx
run onnxq quantize --op-types MatMul,,Gemm demo.onnx
run onnxq quantize -f -n demo.onnx
run onnxq quantize -o a.onnx -d dir demo.onnx
run onnxq quantize -o a.onnx demo.onnx b.onnx
run onnxq quantize a.onnx b.onnx c.onnx
run onnxq quantize --json - demo.onnx
run onnxq help nothing
run onnxq help quantize help
run onnxq completion
run onnxq completion powershell
run onnxq quantize "$(printf -- '--a\033[31m\nb')"
run ls
