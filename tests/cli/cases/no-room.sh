# Results that do not arrive are a failure.
[ -c /dev/full ] || skip "there is no /dev/full"
make_model demo demo.onnx
onnxq help quantize >/dev/full
echo "exit $?"
onnxq --version >/dev/full
echo "exit $?"
onnxq quantize --dry-run demo.onnx >/dev/full
echo "exit $?"
onnxq quantize -qq demo.onnx - >/dev/full
echo "exit $?"
onnxq quantize demo.onnx --json=/dev/full >/dev/null
echo "exit $?"
onnxq quantize demo.onnx /dev/full >/dev/null
echo "exit $?"
onnxq --version >&-
echo "exit $?"
onnxq quantize -f demo.onnx >&- 2>&- <&-
echo "exit $?"
onnxq quantize -qq demo.onnx out.onnx
same demo.int8.onnx out.onnx
# A reader that has seen enough is no reason for a message; blanks show when it is gone.
(
    trap '' PIPE
    while printf ' ' 2>/dev/null; do sleep 0.01; done
    trap - PIPE
    onnxq quantize --dry-run demo.onnx
    echo "exit $?" >code
) | true
cat code
run onnxq quantize demo.onnx nowhere/out.onnx
mkdir folder.onnx
mkdir folder.onnx/demo.int8.onnx
run onnxq quantize -f demo.onnx -o folder.onnx
run onnxq quantize demo.onnx demo.onnx/out.onnx
run ls
