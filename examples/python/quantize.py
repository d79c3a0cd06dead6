"""quantize.py MODEL OUT: quantizes, proves and measures, from Python (pip install onnxq[ort])."""

import sys

import onnxq


def main(model: str, output: str) -> int:
    report = onnxq.quantize(model, output)
    summary = report["summary"]
    print(f"{summary['quantized']} of {summary['weights']} weights quantized, "
          f"{summary['nbytes_before']} -> {summary['nbytes_after']} bytes")

    proof = onnxq.check(model, output, rel_tol=0.2)
    print(f"relative error {proof['rel_error']:.4f}")
    if not proof["passed"]:
        for failure in proof["failures"]:
            print(failure)
        return 1

    speed = onnxq.bench(model, output, runs=20)["models"][1]["speedup"]
    print(f"{speed['median']:.2f} times as fast")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except onnxq.Error as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
