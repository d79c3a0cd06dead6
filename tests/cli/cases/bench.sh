# What onnxq bench says before it needs ONNX Runtime.
make_model demo demo.onnx
run onnxq bench
run onnxq bench -
run onnxq bench --min-speedup 1.5 demo.onnx
run onnxq bench --min-speedup fast demo.onnx demo.onnx
run onnxq bench --time 100000 demo.onnx
run onnxq bench --time soon demo.onnx
run onnxq bench --random 0 demo.onnx
run onnxq bench --opt-level al demo.onnx
run onnxq bench --plot - demo.onnx
run onnxq bench --plot demo.onnx demo.onnx
run onnxq bench --json=./demo.onnx demo.onnx
run onnxq bench --json=out --plot ./out demo.onnx
run onnxq bench --plot nowhere/out.svg demo.onnx
run onnxq bench --json=nowhere/out.json demo.onnx
run onnxq bench --profile nowhere/profiles demo.onnx
run onnxq bench --dim batch demo.onnx
run onnxq bench nothing.onnx
printf 'no model' >bad.onnx
run onnxq bench --profile profiles --plot out.svg demo.onnx bad.onnx
run ls -A
