# Numbers take suffixes, and say where they end.
make_model demo demo.onnx
for number in 1K 1Ki 2k 100M 1Gi 18446744073709551615 18446744073709551616 99999999999G 18014398509481984K 1.5K 1KB -1 x ''; do
    run onnxq quantize -qq --dry-run --allow-unmatched --allow-noop "--min-elements=$number" demo.onnx
done
for number in 0 1 1024 1025 4K; do
    run onnxq quantize -qq --dry-run "-j$number" demo.onnx
done
run onnxq quantize -qq --dry-run -j=2 demo.onnx
run onnxq quantize -qq --dry-run -j 2 demo.onnx
run onnxq quantize -qq --dry-run -j -2 demo.onnx
