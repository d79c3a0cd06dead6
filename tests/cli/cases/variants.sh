# What transformers.js and the Hub look for, beside a model and all over a folder.
make_model demo model.onnx
run onnxq quantize model.onnx --variants quantized,int8,uint8,q4,bnb4,fp16
ls
sed 's/"onnxq": ".*"/"onnxq": "V"/' quantize_config.json
same model_quantized.onnx model_uint8.onnx
[ model_quantized.onnx -ef model_uint8.onnx ] && echo 'one file'
onnxq quantize -qq -t uint8 model.onnx uint8.onnx
onnxq quantize -qq --method blocks --bits 4 --block-size 32 model.onnx q4.onnx
onnxq quantize -qq --method blocks --bits nf4 --block-size 64 model.onnx bnb4.onnx
same model_uint8.onnx uint8.onnx
same model_q4.onnx q4.onnx
same model_bnb4.onnx bnb4.onnx
onnxq dequantize -qq --float-type float16 --narrow-floats model.onnx fp16.onnx
same model_fp16.onnx fp16.onnx
# Without convolutions int8 it is.
make_model matmul plain.onnx
run onnxq quantize -q plain.onnx -d out --variants q8,int8
[ out/plain_quantized.onnx -ef out/plain_int8.onnx ] && echo 'one file'
# A folder as the Hub has it; side files are called as they are looked for.
mkdir -p repo/onnx
make_model external repo/onnx/decoder.onnx
make_model nothing repo/onnx/none.onnx
echo '{}' >repo/config.json
echo '{}' >repo/quantize_config.json
run onnxq quantize repo new --variants q4,quantized
(cd new && find . | sort)
run onnxq inspect -qq --validate new/onnx/decoder_q4.onnx new/onnx/decoder_quantized.onnx
[ new/onnx/none_q4.onnx -ef new/onnx/none_quantized.onnx ] && echo 'one file'
rm repo/quantize_config.json
run onnxq quantize -q repo --variants q4
run onnxq quantize -q repo --variants q8
grep modes repo/quantize_config.json
run onnxq quantize -qqn repo --variants int8
echo '{"modes": ["q8"]}' >repo/quantize_config.json
run onnxq quantize -qq repo --variants uint8
cat repo/quantize_config.json
run onnxq quantize -qqf repo --variants uint8
grep modes repo/quantize_config.json
(cd repo && find . | sort)
# Options go to those that they have an effect on.
run onnxq quantize -q --dry-run plain.onnx --variants q8,q4,bnb4 --reduce-range --accuracy-level 1 --no-symmetric --no-per-channel
onnxq quantize -q --dry-run model.onnx --variants int8 --json=- | head -n 1
run onnxq quantize plain.onnx --variants q8,q5
run onnxq quantize plain.onnx --variants q4f16
run onnxq quantize plain.onnx --variants q8 --bits 4
run onnxq quantize plain.onnx --variants q8 --method weights
run onnxq quantize plain.onnx --variants q8 --suffix _a
run onnxq quantize plain.onnx named.onnx --variants q8
run onnxq quantize - --variants q8
ls *plain* named* 2>/dev/null
# Processors, as sentence-transformers names them.
run onnxq quantize -q plain.onnx -d st --target arm64,avx2,avx512,avx512_vnni
onnxq quantize -qq --reduce-range=pairs plain.onnx pairs.onnx
same st/plain_qint8_avx512.onnx pairs.onnx
[ st/plain_qint8_arm64.onnx -ef st/plain_qint8_avx512_vnni.onnx ] && echo 'one file'
ls st
# What says how the variants of the folder were made is not true of these.
rm -f repo/onnx/*_*.onnx*
run onnxq quantize -q repo -d others --target arm64
(cd others && find . -type f | sort)
run onnxq quantize plain.onnx --target avx1024
run onnxq quantize plain.onnx --target q8
run onnxq quantize plain.onnx --variants avx2
run onnxq quantize plain.onnx --target avx2 --suffix _a
# Interrupted: whole files only.
has timeout || exit 0
for delay in 0.004 0.008 0.012 0.02 0.03; do
    timeout -s INT $delay onnxq quantize -qq model.onnx -d part --variants quantized,int8,uint8,q4,bnb4,fp16 2>/dev/null
    [ -d part ] || continue
    find part -name '*.onnx' | while read -r file; do cmp "$file" "${file#part/}"; done
    find part -name '.*' ! -name part -o -name '*.link'
    rm -r part
done
