"""quantize_dynamic() and quantize_static() with the signatures of onnxruntime.quantization."""

import abc
import enum
import os
import warnings
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from ._arrays import Model, PathLike
from ._errors import OptionError
from ._quantize import quantize


class QuantType(enum.Enum):
    """As in ONNX Runtime; of these, QInt8 and QUInt8 can be chosen here."""

    QInt8 = 0
    QUInt8 = 1
    QFLOAT8E4M3FN = 2
    QInt16 = 3
    QUInt16 = 4
    QInt4 = 5
    QUInt4 = 6

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def from_string(t: str) -> "QuantType":
        try:
            return QuantType[t]
        except KeyError:
            raise ValueError(t) from None


class QuantFormat(enum.Enum):
    """Understood, and without effect: ONNX Runtime runs what is written as integers either way."""

    QOperator = 0
    QDQ = 1

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def from_string(format: str) -> "QuantFormat":
        try:
            return QuantFormat[format]
        except KeyError:
            raise ValueError(format) from None


class CalibrationMethod(enum.Enum):
    MinMax = 0
    Entropy = 1
    Percentile = 2
    Distribution = 3


class CalibrationDataReader(abc.ABC):
    """What gives inputs: get_next() returns a dict of arrays by input name, None at the end."""

    @abc.abstractmethod
    def get_next(self) -> Optional[Dict[str, Any]]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return iter(self.get_next, None)


def _weight_type(given: Any) -> str:
    """QuantType of this module or of ONNX Runtime, or a string such as QInt8 or int8."""
    name = str(getattr(given, "name", given))
    known = {"qint8": "int8", "int8": "int8", "quint8": "uint8", "uint8": "uint8"}
    if name.lower() not in known:
        raise OptionError(f"weight_type {name} is none of QInt8 and QUInt8",
                          hint="4 bits: onnxq.quantize(..., method='blocks', bits=4)")
    return known[name.lower()]


def _extra(extra_options: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Options of quantize() for those of extra_options that exist here."""
    found: Dict[str, Any] = {}
    harmless = {"MatMulConstBOnly": True, "ActivationSymmetric": False, "ForceQuantizeNoInputCheck": False,
                "DefaultTensorType": None}
    for name, value in (extra_options or {}).items():
        if name == "WeightSymmetric":
            found["symmetric"] = bool(value)
        elif name == "EnableSubgraph":
            found["subgraphs"] = bool(value)
        elif name in ("CalibPercentile", "percentile"):
            found["percentile"] = float(value)
        elif name not in harmless or (harmless[name] is not None and harmless[name] != value):
            warnings.warn(f"onnxq: extra_options[{name!r}] = {value!r} has no effect", stacklevel=3)
    return found


def _common(op_types_to_quantize: Optional[Sequence[str]], per_channel: Optional[bool], reduce_range: bool,
            nodes_to_quantize: Optional[Sequence[str]], nodes_to_exclude: Optional[Sequence[str]],
            use_external_data_format: bool) -> Dict[str, Any]:
    return dict(op_types=list(op_types_to_quantize or []), per_channel=per_channel,
                reduce_range="bits" if reduce_range else None,
                include_name=list(nodes_to_quantize or []), exclude_name=list(nodes_to_exclude or []),
                external_data="always" if use_external_data_format else None,
                allow_unmatched=True, allow_noop=True, force=True)


def quantize_dynamic(model_input: Model, model_output: PathLike,
                     op_types_to_quantize: Optional[Sequence[str]] = None,
                     per_channel: Optional[bool] = None, reduce_range: bool = False,
                     weight_type: Any = QuantType.QInt8,
                     nodes_to_quantize: Optional[Sequence[str]] = None,
                     nodes_to_exclude: Optional[Sequence[str]] = None,
                     use_external_data_format: bool = False,
                     extra_options: Optional[Mapping[str, Any]] = None) -> None:
    """onnxruntime.quantization.quantize_dynamic(), with onnxq's results.

    What is left out is onnxq's default: scales per channel, bodies of If, Loop and Scan included.
    """
    quantize(model_input, os.fspath(model_output), weight_type=_weight_type(weight_type),
             **{**_common(op_types_to_quantize, per_channel, reduce_range, nodes_to_quantize,
                          nodes_to_exclude, use_external_data_format), **_extra(extra_options)})


def _inputs(reader: Any) -> Iterator[Dict[str, Any]]:
    return iter(reader.get_next, None)


def quantize_static(model_input: Model, model_output: PathLike, calibration_data_reader: Any,
                    quant_format: Any = QuantFormat.QDQ,
                    op_types_to_quantize: Optional[Sequence[str]] = None,
                    per_channel: Optional[bool] = None, reduce_range: bool = False,
                    activation_type: Any = QuantType.QInt8, weight_type: Any = QuantType.QInt8,
                    nodes_to_quantize: Optional[Sequence[str]] = None,
                    nodes_to_exclude: Optional[Sequence[str]] = None,
                    use_external_data_format: bool = False,
                    calibrate_method: Any = CalibrationMethod.MinMax,
                    calibration_providers: Optional[Sequence[str]] = None,
                    extra_options: Optional[Mapping[str, Any]] = None,
                    calibration_cache_path: Optional[PathLike] = None) -> None:
    """onnxruntime.quantization.quantize_static(), with onnxq's results; needs ONNX Runtime.

    Activations have 8 bits, unsigned, with a zero point; quant_format, calibration_providers and
    calibration_cache_path have no effect.
    """
    del quant_format, calibration_providers, calibration_cache_path
    _weight_type(activation_type)
    _weight_type(weight_type)
    ranges = {"minmax": "minmax", "entropy": "entropy", "percentile": "percentile"}
    name = str(getattr(calibrate_method, "name", calibrate_method))
    if name.lower() not in ranges:
        raise OptionError(f"calibrate_method {name} is none of MinMax, Entropy and Percentile")
    quantize(model_input, os.fspath(model_output), method="static", range_method=ranges[name.lower()],
             inputs=_inputs(calibration_data_reader),
             **{**_common(op_types_to_quantize, per_channel, reduce_range, nodes_to_quantize,
                          nodes_to_exclude, use_external_data_format), **_extra(extra_options)})
