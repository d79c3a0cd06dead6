# The report for programs.
make_model demo demo.onnx
make_model matmul matmul.onnx
make_model nothing nothing.onnx
make_model hostile-name hostile.onnx
run onnxq quantize --json demo.onnx
run onnxq quantize --json=report.json -q matmul.onnx
run onnxq quantize --json --dry-run matmul.onnx | sed '/"operators"/,$d'
run onnxq quantize --json nothing.onnx
run onnxq quantize --json=no/where.json matmul.onnx -f
run onnxq quantize --json=. matmul.onnx -f
run onnxq quantize --json=unwritten.json nosuch.onnx
onnxq quantize --json -v hostile.onnx >hostile.json
onnxq quantize --json -d out demo.onnx matmul.onnx nothing.onnx >array.json 2>/dev/null
echo "exit $?"
run onnxq quantize --json -d none nosuch.onnx
ln -s report.json link.json
onnxq quantize --json=link.json -qq -f demo.onnx
[ -L link.json ] || echo "the link is gone"
run ls
if has python3; then
    for file in *.json; do
        python3 -m json.tool "$file" >"$TMPDIR/tool" || echo "$file is no JSON"
    done
    python3 -c 'import json; found = [r["summary"]["quantized"] for r in json.load(open("array.json"))]
assert found == [3, 1, 0], found'
    rm -f "$TMPDIR/tool"
fi
