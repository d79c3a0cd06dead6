# A signal leaves nothing behind.
# (Not with LeakSanitizer: a signal that comes while it looks through a process that ends, it waits for ever.)
ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
export ASAN_OPTIONS
make_model demo demo.onnx
mkfifo pipe
# A shell starts what runs beside it with SIGINT ignored: that has to be undone first.
env --default-signal true 2>/dev/null && heed='env --default-signal' || heed=
for name in TERM HUP ${heed:+INT}; do
    $heed onnxq quantize - out.onnx <pipe >/dev/null &
    exec 9>pipe
    pid=$!
    # More than once: the first may come before the program is there to hear it.
    (while kill -s $name $pid; do sleep 0.1; done) 2>/dev/null &
    wait $pid 2>/dev/null
    echo "$name: $?"
    exec 9>&-
done
# What was to be ignored is.
(trap '' TERM; exec onnxq quantize -q - out.onnx <pipe >/dev/null) &
exec 9>pipe
sleep 0.2
kill -s TERM $!
cat demo.onnx >&9
exec 9>&-
wait $!
echo "ignored: $?"
rm -f out.onnx
run ls -A
# At any moment: the output is there as a whole, or not at all.
has timeout || exit 0
onnxq quantize -qq demo.onnx whole.onnx
for delay in 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01 0.012 0.015 0.02 0.03; do
    timeout -s INT $delay onnxq quantize -qq demo.onnx out.onnx 2>/dev/null
    [ ! -e out.onnx ] || cmp out.onnx whole.onnx
    rm -f out.onnx
done
run ls -A
