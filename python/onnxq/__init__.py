"""Makes ONNX models smaller and faster: INT8 quantization without data.

    import onnxq
    onnxq.quantize("model.onnx", "model.int8.onnx")

or, instead of ``from onnxruntime.quantization import ...``:

    from onnxq import quantize_dynamic, QuantType
    quantize_dynamic("model.onnx", "model.int8.onnx", weight_type=QuantType.QInt8)

``quantize`` works in this process. ``check``, ``bench``, ``tune`` and ``calibrate`` run models and need
ONNX Runtime (``pip install onnxq[ort]``), as does ``quantize`` with ``inputs``. Nothing but the
standard library is imported.
"""

from ._commands import bench, calibrate, check, command_path, dequantize, inspect, tune
from ._errors import (
    Cancelled,
    EngineError,
    Error,
    InputError,
    InternalError,
    NothingToDo,
    OptionError,
    OutputError,
    OutOfMemory,
)
from ._quantize import quantize, version
from ._ort import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

__version__ = version()

__all__ = [
    "CalibrationDataReader",
    "CalibrationMethod",
    "Cancelled",
    "EngineError",
    "Error",
    "InputError",
    "InternalError",
    "NothingToDo",
    "OptionError",
    "OutOfMemory",
    "OutputError",
    "QuantFormat",
    "QuantType",
    "bench",
    "calibrate",
    "check",
    "command_path",
    "dequantize",
    "inspect",
    "quantize",
    "quantize_dynamic",
    "quantize_static",
    "tune",
    "version",
]
