# Names from the file, and names of files, do not reach the terminal as they are.
make_model hostile-name model.onnx
run onnxq quantize -v model.onnx
name=$(printf 'a\033[31m\nb')
cp model.onnx "$name.onnx"
onnxq quantize -q "$name.onnx" | steady | cat -v
onnxq quantize -q "$name.onnx" 2>&1 | cat -v
onnxq quantize -q "$name" out.onnx 2>&1 | cat -v
# As an exact name it is found all the same.
name=$(printf 'node \033[31mred\nline\a\377\300\200\\')
onnxq quantize --dry-run --nodes_to_exclude "$name" model.onnx 2>&1 | cat -v
onnxq quantize --dry-run --exclude "$name?" model.onnx 2>&1 | cat -v
onnxq quantize --json --dry-run model.onnx | grep -c 'ufffd'
