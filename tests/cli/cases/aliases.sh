# The names of onnxruntime.quantization.quantize_dynamic.
make_model demo demo.onnx
pair() { # OPTIONS -- OPTIONS: both make the same file
    ours=
    while [ "$1" != -- ]; do ours="$ours $1"; shift; done
    shift
    onnxq quantize -qq demo.onnx ours.onnx $ours || echo "exit $? for $ours"
    onnxq quantize -qq demo.onnx theirs.onnx "$@" || echo "exit $? for $*"
    cmp -s ours.onnx theirs.onnx && echo "$* is$ours" || echo "$* is not$ours"
    rm -f ours.onnx* theirs.onnx*
}
pair -t int8 -- --weight_type QInt8
pair -t uint8 -- --weight_type=QuantType.QUInt8
pair --no-per-channel -- --per_channel=False
pair --per-channel -- --per_channel
pair --reduce-range -- --reduce_range=True
pair --reduce-range=none -- --reduce_range=False
pair --exclude fc1 --exclude conv -- --nodes_to_exclude fc1,conv
pair --include fc1 --include fc2 -- --nodes_to_quantize fc1,fc2
pair --op-types MatMul,Gemm -- --op_types_to_quantize MatMul,Gemm
pair --op-types Conv -- --op-types-to-quantize=Conv
run onnxq quantize -qq --use_external_data_format demo.onnx out.onnx
run ls
# Names are exact: what would be a wildcard is none.
run onnxq quantize -qq --nodes_to_exclude 'fc*' demo.onnx
run onnxq quantize -qq --nodes_to_exclude 'f[c]1' demo.onnx
