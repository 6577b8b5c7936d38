"""What an ONNX file may hold, before onnxruntime reads it. Imports no onnx.

An exported model is a plain list of tensor operators. Nothing in it repeats (Loop, Scan), branches (If), calls
functions or names other files, so that it comes to an end. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from featkit.errors import ModelError
from featkit.modelfile.lookup import Lookup
from featkit.modelfile.wire import DamagedError, Fields, Value, message, numbers

MAX_BYTES = 2**31
"""A message of protobuf, and so an ONNX file, ends below 2 GB."""
MAX_NODES = 20_000
MAX_METADATA = 2**22
"""Bytes."""
MAX_TEXT = 100
"""Bytes of one text inside the graph, as of a label."""
MAX_SIZE = 2**24
"""Values that an operator may make because the file says so, not because the clip is so long."""

_NAMES = {
    "": """Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift BitwiseAnd
        BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu Clip Compress Concat Constant
        ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DFT DepthToSpace DequantizeLinear Det Div
        DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND
        Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HammingWindow
        HannWindow HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
        LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean
        MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QLinearConv
        QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
        ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round STFT ScatterElements ScatterND Selu
        Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
        Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor""",
    "ai.onnx.ml": """ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier
        LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsembleClassifier
        TreeEnsembleRegressor""",
    # What onnxruntime's own quantiser writes.
    "com.microsoft": """DequantizeLinear DynamicQuantizeLSTM MatMulIntegerToFloat QGemm QLinearAdd QLinearAveragePool
        QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere
        QuantizeLinear""",
}
OPERATORS = {domain: frozenset(names.split()) for domain, names in _NAMES.items()}
"""By domain. A backend that needs another one cannot be exported."""

_SIZES = {
    "ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Range": (0, 1, 2), "Pad": (1,), "OneHot": (1,),
    "HannWindow": (0,), "HammingWindow": (0,), "BlackmanWindow": (0,), "MelWeightMatrix": (0, 1), "DFT": (1,),
    "STFT": (3,),
}  # fmt: skip
"""Operators that make as many values as some of their inputs say, and which of them do."""

# Trees and support vectors are attributes of a million entries, each with its tag: floats (0x3d), whole numbers below
# 2**28 (0x40), short texts (0x4a). Runs of them are passed at once.
_RUN = re.compile(
    rb"(?s:\x3d....|\x40[\x80-\xff]{0,3}[\x00-\x7f]|"
    + b"|".join(b"\x4a" + re.escape(bytes([n])) + b".{%d}" % n for n in range(24))
    + b")++"
)
_WHOLE = {6: 4, 7: 8}  # data types of tensors that can be sizes: bytes of a number


@dataclass(frozen=True)
class Contents:
    """Operators of a file, and the texts among which its output "label" is looked up; None where it is not."""

    operators: frozenset[str]
    labels: list[str] | None


class _RefusedError(Exception):
    """A graph that asks for what a model does not need."""


def check_contents(content: bytes, name: str) -> Contents:
    """Refuse a file that onnxruntime must not see, and tell what is in the others.

    It takes time by the number of nodes, not by the size of tensors, which are passed over.

    Raises
    ------
    ModelError
        It is no ONNX model, or holds an operator that is not in `OPERATORS`, a subgraph, a function, sparse tensors or
        such in other files, more nodes, text or metadata than a model has, or sizes that no bytes stand behind.
    """
    try:
        file = _File(memoryview(content))
    except DamagedError as error:
        raise ModelError(f"{name}: is damaged or not an ONNX model ({error}); copy or export it again.") from None
    except _RefusedError as error:
        raise ModelError(f"{name}: is refused, because it {error}; no model of featkit's needs that.") from None
    return Contents(frozenset(file.operators), file.lookup.labels())


class _File:
    """One walk through a file."""

    def __init__(self, content: memoryview) -> None:
        self._fields = Fields(30 * MAX_NODES)
        self._nodes_left = MAX_NODES
        self._constants: dict[bytes, list[int]] = {}  # short lists of whole numbers, by name
        self._sized: list[tuple[str, bytes]] = []  # operator, and the name of a size that it reads
        self.operators: set[str] = set()
        self.lookup = Lookup()
        if len(content) >= MAX_BYTES:
            raise _RefusedError(f"has {len(content) / 2**30:.1f} GB")
        self._model(content)
        for operator, name in self._sized:
            _check_size(operator, self._constants.get(name, []))

    def _model(self, model: memoryview) -> None:
        graphs, metadata = 0, 0
        for number, value in self._fields.of(model):
            if number == 7:  # graph
                graphs += 1
                self._graph(message(value))
            elif number == 8:  # opset_import
                self._opset(message(value))
            elif number == 14:  # metadata_props
                metadata += len(message(value))
            elif number in (20, 25):
                raise _RefusedError("holds functions" if number == 25 else "holds a training graph")
        if graphs != 1:
            raise DamagedError(f"it holds {graphs} graphs")
        if metadata > MAX_METADATA:
            raise _RefusedError(f"holds {metadata >> 20} MB of metadata")

    def _opset(self, opset: memoryview) -> None:
        for number, value in self._fields.of(opset):
            if number == 1 and _domain(value) not in OPERATORS:
                raise _RefusedError(f"uses operators of {_domain(value)!r}")

    def _graph(self, graph: memoryview) -> None:
        for number, value in self._fields.of(graph):
            if number == 1:  # node
                self._node(message(value))
            elif number == 5:  # initializer
                self._tensor(message(value))
            elif number == 15:  # sparse_initializer
                raise _RefusedError("holds sparse tensors")

    def _node(self, node: memoryview) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise _RefusedError(f"has more than {MAX_NODES} nodes")
        inputs, outputs, attributes = [], [], []
        operator, domain = "", ""
        for number, value in self._fields.of(node):
            if number == 1:  # input
                inputs.append(bytes(message(value)))
            elif number == 2:  # output
                outputs.append(bytes(message(value)))
            elif number == 4:  # op_type
                operator = _text(value)
            elif number == 5:  # attribute
                attributes.append(message(value))
            elif number == 7:  # domain
                domain = _domain(value)
        if operator not in OPERATORS.get(domain, ()):
            raise _RefusedError(f"uses the operator {operator!r}" + (f" of {domain!r}" if domain else ""))
        self.operators.add(operator)
        self.lookup.node(operator, inputs, outputs)
        constant = outputs[0] if operator == "Constant" and outputs else None
        for attribute in attributes:
            self._attribute(attribute, operator, constant)
        self._sized += [(operator, inputs[i]) for i in _SIZES.get(operator, ()) if i < len(inputs)]

    def _attribute(self, attribute: memoryview, operator: str, constant: bytes | None) -> None:
        """``constant`` names the value, where the node is one."""
        whole: list[int] = []
        for number, value in self._fields.of(attribute, None if constant else _RUN):
            if number in (4, 9):  # s, strings
                _check_text(value)
            elif number == 5:  # t
                self._tensor(message(value), constant)
            elif number in (3, 8):  # i, ints
                whole += (found := numbers(value))
                if number == 8 and any(abs(setting) >= 2**28 for setting in found):
                    raise _RefusedError(f"has a setting of {max(found, key=abs)} in {operator}")
            elif number in (6, 11):  # g, graphs
                raise _RefusedError(f"has a graph inside {operator}")
            elif number in (10, 14, 15, 22, 23):  # tensors, types, sparse tensors
                raise _RefusedError(f"has a setting of an unusual kind in {operator}")
        if constant is not None and whole:
            self._constants[constant] = whole

    def _tensor(self, tensor: memoryview, name: bytes | None = None) -> None:
        dims: list[int] = []
        typed, texts = list[Value](), list[str]()
        kind, raw = 0, memoryview(b"")
        for number, value in self._fields.of(tensor):
            if number == 1:  # dims
                dims += numbers(value)
            elif number == 2 and isinstance(value, int):  # data_type
                kind = value & 0xFFFF_FFFF  # as other readers cut it
            elif number in (5, 7):  # int32_data, int64_data
                typed.append(value)
            elif number == 6:  # string_data
                texts.append(_check_text(value))
            elif number == 8 and name is None:  # name
                name = bytes(message(value))
            elif number == 9:  # raw_data
                raw = message(value)
            elif number in (13, 14):  # external_data, data_location
                raise _RefusedError("names other files to be read")
        count = _backed(dims, len(tensor))
        if name is not None and texts:
            self.lookup.texts[name] = texts
        if name is not None and kind in _WHOLE and count <= 64:
            size, order = _WHOLE[kind], range(min(count, len(raw) // _WHOLE[kind]))
            whole = [int.from_bytes(raw[i * size : (i + 1) * size], "little", signed=True) for i in order]
            self._constants[name] = whole + [one for value in typed for one in numbers(value)]


def _backed(dims: list[int], n_bytes: int) -> int:
    """How many values a tensor has, if its bytes can hold them: those of 4 bits are the smallest."""
    if len(dims) > 16 or any(not 0 <= dim < MAX_BYTES for dim in dims):
        raise DamagedError("a tensor has impossible dimensions")
    count = math.prod(dims)
    if count > 2 * n_bytes:
        raise DamagedError(f"a tensor of {count} values has {n_bytes} bytes")
    return count


def _check_size(operator: str, sizes: list[int]) -> None:
    told = [abs(size) for size in sizes if size] or [0]
    made = max(told) if operator == "Pad" else math.prod(told)
    if made > MAX_SIZE:
        raise _RefusedError(f"asks {operator} for {made} values")


def _check_text(value: Value) -> str:
    if len(message(value)) > MAX_TEXT:
        raise _RefusedError(f"holds a text of {len(message(value))} bytes")
    return _text(value)


def _text(value: Value) -> str:
    return str(message(value)[:MAX_TEXT], "utf-8", "replace")


def _domain(value: Value) -> str:
    return "" if (domain := _text(value)) == "ai.onnx" else domain
