# Names from the file, and names of files, do not reach the terminal as they are.
make_model hostile-name model.onnx
run onnxq quantize -v model.onnx
name=$(printf 'a\033[31m\nb')
cp model.onnx "$name.onnx"
onnxq quantize -q "$name.onnx" | sed -E 's/ in [0-9.]+ s/ in T s/' | cat -v
onnxq quantize -q "$name.onnx" 2>&1 | cat -v
onnxq quantize -q "$name" out.onnx 2>&1 | cat -v
onnxq quantize --json --dry-run model.onnx | grep -c 'ufffd'
