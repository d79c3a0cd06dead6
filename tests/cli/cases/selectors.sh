# Which weights.
make_model demo demo.onnx
plan() { run onnxq quantize --dry-run "$@" demo.onnx; }
plan --op-types MatMul,Conv
plan --op-types MatMul --op-types Gemm
plan --exclude-op-types Conv
plan --exclude 'fc?' --exclude 'conv.*'
plan --include 'fc*.weight'
plan --include-regex '^fc[0-9]$' --exclude-regex '2$'
# One that matches nothing is an error.
plan --exclude fc9
plan --exclude-regex 'fc[3-9]'
plan --include 'fc'
plan --op-types MatMul,Gem
plan --exclude-op-types Matmul
plan --include-regex '(' | sed 's/"(": .*/"(": .../' # the rest is the C library's
plan --exclude fc9 --op-types MatMul,Gem --allow-unmatched
