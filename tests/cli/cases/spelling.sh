# Ways to write an option that mean the same.
make_model demo demo.onnx
onnxq quantize -q demo.onnx plain.onnx --no-per-channel -t uint8 >/dev/null
onnxq quantize -qqo a.onnx -t uint8 --no_per_channel demo.onnx
onnxq quantize --quiet --quiet --output=b.onnx --weight_type=QUInt8 --per_channel=False -- demo.onnx
onnxq quantize demo.onnx -qoc.onnx -tuint8 --per-channel=no >/dev/null
onnxq quantize -q -o=d.onnx -t=UINT8 --no-per-channel demo.onnx >/dev/null
onnxq quantize -q --weight-type QuantType.QUInt8 --per-channel=0 --output e.onnx demo.onnx >/dev/null
for file in a b c d e; do same $file.onnx plain.onnx; done
# What begins with a dash is named behind --, or with the folder.
mv demo.onnx ./-demo.onnx
run onnxq quantize -q -- -demo.onnx -out.onnx
run ls
