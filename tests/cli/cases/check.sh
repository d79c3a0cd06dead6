# What can be said without ONNX Runtime.
make_model demo demo.onnx
cp demo.onnx other.onnx
run onnxq check
run onnxq check demo.onnx
run onnxq check a.onnx b.onnx c.onnx
run onnxq check demo.onnx -
run onnxq check --layers demo.onnx
run onnxq check demo.onnx other.onnx --expected stored.npz
run onnxq check demo.onnx --expected stored.npz
run onnxq check demo.onnx other.onnx --rel-toll 0.1
run onnxq check demo.onnx other.onnx --rel-tol 10%
run onnxq check demo.onnx other.onnx --rel-tol=-1
run onnxq check demo.onnx other.onnx --cosine nan
run onnxq check demo.onnx other.onnx --dim batch
run onnxq check demo.onnx other.onnx --dim batch=-1
run onnxq check demo.onnx other.onnx --range x=3:2
run onnxq check demo.onnx other.onnx --inputs in.npz --range x=0:1
run onnxq check demo.onnx other.onnx --feedback
run onnxq check demo.onnx other.onnx --report other.onnx
run onnxq check demo.onnx other.onnx --json=./demo.onnx
# The engine is looked for where it is said to be, and nowhere else.
mkdir empty
echo "no library" >libonnxruntime.so
run onnxq check demo.onnx other.onnx --ort-lib nowhere
run onnxq check demo.onnx other.onnx --ort-lib empty
run onnxq check demo.onnx other.onnx --ort-lib ./libonnxruntime.so --report report.json
run ls
