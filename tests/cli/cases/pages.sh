# Pages of a report, and which files they may not be.
make_model demo demo.onnx
onnxq quantize -qq demo.onnx q.onnx
run onnxq inspect --html - --markdown demo.onnx
run onnxq inspect --html demo.onnx demo.onnx
run onnxq inspect --html page --markdown=./page demo.onnx
run onnxq inspect --html page --json=./page demo.onnx
run onnxq inspect --html nowhere/page.html demo.onnx
run onnxq inspect --html page.onnx demo.onnx
run onnxq quantize --html out.html demo.onnx out.html
run onnxq quantize --markdown demo.onnx -
run onnxq quantize --markdown=q.onnx demo.onnx q.onnx
run onnxq check --html q.onnx demo.onnx q.onnx
run onnxq check --plot layers.svg demo.onnx q.onnx
run onnxq check --layers --plot - demo.onnx q.onnx
run onnxq check --layers --plot layers.png demo.onnx q.onnx
run onnxq check --layers --plot layers --html ./layers demo.onnx q.onnx
run onnxq check --layers --plot layers --json=./layers demo.onnx q.onnx
run onnxq bench --html q.onnx demo.onnx q.onnx
run onnxq bench --plot page --html ./page demo.onnx
run onnxq tune --markdown=demo.onnx demo.onnx out.onnx
run onnxq tune --markdown=./out --plot out demo.onnx out.onnx
# None was left, and none is written of a model that cannot be read.
printf 'no model' >bad.onnx
run onnxq inspect --html page.html bad.onnx
run ls -A
run onnxq quantize --dry-run --markdown demo.onnx
run onnxq inspect --markdown demo.onnx
run onnxq inspect -q --html page.html --markdown=page.md demo.onnx q.onnx
grep -c '<h3>' page.html
grep '^##' page.md
# Names from a file stay text.
make_model hostile-name hostile.onnx
onnxq inspect --markdown hostile.onnx | cat -v
onnxq inspect --html - hostile.onnx | cat -v | sed -n '/Tensors/,$p'
