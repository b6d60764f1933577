"""What a pickle of tensors says, without torch: an allowlist of operations and of names.

No name of a file is ever looked up and nothing of it is called: operations that a state dict does
not need end the reading, names stand for entries of the tables here.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .limits import MOST_DIMENSIONS, MOST_SIDE, MOST_TENSORS

ITEM_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "complex64": 8,
    "complex128": 16,
}
"""The types of a tensor's elements by torch's names."""

UNTYPED = "untyped"
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": UNTYPED,
}


class Refused(Exception):
    """A pickle holds what no state dict needs; the text says what, briefly."""


class CutShort(Refused):
    """The file ends before its contents do."""


@dataclass(frozen=True)
class Storage:
    """A piece of the file: `count` elements of `dtype` (bytes, where it is untyped) named `key`."""

    dtype: str
    key: str
    count: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * ITEM_BYTES.get(self.dtype, 1)


@dataclass(frozen=True)
class Entry:
    """A tensor of a file: its shape and type, and where its elements are, counted in elements."""

    shape: tuple[int, ...]
    dtype: str
    storage: Storage | None = None
    offset: int = 0
    strides: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Elements."""
        product = 1
        for side in self.shape:
            product *= side
        return product

    @property
    def size(self) -> int:
        """Bytes, once it has memory of its own."""
        return self.count * ITEM_BYTES[self.dtype]


class _Name(NamedTuple):
    """A name in the file that stands for itself: the type of a storage or of elements."""

    kind: str
    value: str


class _Call(NamedTuple):
    """A name in the file that may be called, and what is done instead.

    Made anew for each file, like all that a pickle gets into its hands.
    """

    act: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        return self.act(*arguments)


def read_pickle(content: io.BytesIO) -> object:
    """The next pickle in `content`, tensors as Entry. Raises Refused, or what damage makes of it.

    `content` holds no more than a pickle may have: that bounds time and memory.
    """
    return _Reader(content).load()


def numbers(values: object, most: int = MOST_DIMENSIONS) -> tuple[int, ...]:
    """Sides or strides. Raises Refused for what is none."""
    if not isinstance(values, (list, tuple)) or len(values) > most:
        raise Refused("a shape that is none")
    if not all(type(n) is int and 0 <= n <= MOST_SIDE for n in values):
        raise Refused("a shape that is none")
    return tuple(values)


def _tensor(storage: object, offset: object, size: object, stride: object, *rest: object) -> Entry:
    """torch._utils._rebuild_tensor and _v2: (..., requires_grad, hooks)."""
    if not isinstance(storage, Storage) or storage.dtype == UNTYPED:
        raise Refused("a tensor without a typed storage")
    return _placed(storage, storage.dtype, offset, size, stride)


def _tensor_v3(storage: object, *arguments: object) -> Entry:
    """torch._utils._rebuild_tensor_v3: (offset, size, stride, requires_grad, hooks, dtype, ...)."""
    if not isinstance(storage, Storage) or len(arguments) < 6:
        raise Refused("a tensor without a storage")
    offset, size, stride, _, _, dtype = arguments[:6]
    if not isinstance(dtype, _Name) or dtype.kind != "dtype":
        raise Refused("a tensor of no type")
    return _placed(storage, dtype.value, offset, size, stride)


def _placed(storage: Storage, dtype: str, offset: object, size: object, stride: object) -> Entry:
    """The tensor, if all of its elements lie in its storage."""
    shape, strides = numbers(size), numbers(stride)
    (start,) = numbers((offset,))
    if len(shape) != len(strides):
        raise Refused("a tensor with as many strides as it has not sides")
    last = start + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    entry = Entry(shape, dtype, storage, start, strides)
    if 0 not in shape and (last + 1) * ITEM_BYTES[dtype] > storage.size:
        raise Refused("a tensor that is larger than its storage")
    return entry


def _parameter(data: object, *_: object) -> object:
    return data


def _of_type(function: object, _kind: object, arguments: object, _state: object) -> object:
    """torch._tensor._rebuild_from_type_v2: a tensor that had attributes."""
    if not isinstance(function, _Call) or not isinstance(arguments, tuple):
        raise Refused("a tensor that is none")
    return function(*arguments)


def _ordered(pairs: object = ()) -> dict[object, object]:
    """collections.OrderedDict: empty, or as Python 2 wrote it."""
    if not isinstance(pairs, (list, tuple)):
        raise Refused("a dict of no pairs")
    found = _Dict()
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise Refused("a dict of no pairs")
        found[_key(pair[0])] = pair[1]
    return found


class _Dict(dict[object, object]):
    """An ordered dict: pickles set `_metadata` on it, which nobody needs."""


def _key(key: object) -> object:
    """Raises Refused for keys that are not plain: the hash of nested tuples ends a process."""
    if isinstance(key, (str, int, float, bool)):
        return key
    raise Refused("a key that is neither text nor a number")


def _size_of(sides: object = ()) -> tuple[int, ...]:
    return numbers(sides)


_CALLS: Mapping[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch", "Size"): _size_of,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
}
_TYPES = {("torch", "Tensor"), ("torch.nn.parameter", "Parameter"), ("torch", "device")}

_OPERATIONS = (
    pickle.PROTO
    + pickle.STOP
    + pickle.MARK
    + pickle.POP
    + pickle.POP_MARK
    + pickle.NONE
    + pickle.NEWTRUE
    + pickle.NEWFALSE
    + pickle.BININT
    + pickle.BININT1
    + pickle.BININT2
    + pickle.LONG1
    + pickle.BINFLOAT
    + pickle.BINUNICODE
    + pickle.SHORT_BINSTRING
    + pickle.EMPTY_DICT
    + pickle.EMPTY_LIST
    + pickle.EMPTY_TUPLE
    + pickle.TUPLE
    + pickle.TUPLE1
    + pickle.TUPLE2
    + pickle.TUPLE3
    + pickle.APPEND
    + pickle.APPENDS
    + pickle.SETITEM
    + pickle.SETITEMS
    + pickle.BINPUT
    + pickle.LONG_BINPUT
    + pickle.BINGET
    + pickle.LONG_BINGET
    + pickle.GLOBAL
    + pickle.REDUCE
    + pickle.BUILD
    + pickle.BINPERSID
)
"""What torch.save writes, from Python 2 and 3: numbers, texts, containers, names, references."""


class _Reader(pickle._Unpickler):
    """Python's own unpickler with nothing but those operations.

    (The one in C takes any number of gigabytes for a memo that a few bytes ask for.)
    """

    def __init__(self, content: io.BytesIO) -> None:
        super().__init__(content, encoding="utf-8")
        self._tensors = 0

    def find_class(self, module: str, name: str) -> object:
        if (act := _CALLS.get((module, name))) is not None:
            return _Call(act)
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _Name("storage", _STORAGES[name])
        if module == "torch" and name in ITEM_BYTES:
            return _Name("dtype", name)
        if (module, name) in _TYPES:
            return _Name("type", name)
        raise Refused(f"the name {f'{module}.{name}'[:80]!a}")

    def persistent_load(self, pid: object) -> Storage:
        """("storage", type, key, location, count), and before torch 1.6 a view, always None."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise Refused("a reference to no storage")
        _, kind, key, _location, count = pid[:5]
        whole = len(pid) == 5 or pid[5] is None
        if not whole or not isinstance(kind, _Name) or not isinstance(key, str):
            raise Refused("a reference to no storage")
        if kind.kind != "storage" or type(count) is not int or not 0 <= count <= 1 << 40:
            raise Refused("a storage of no size")
        self._tensors += 1
        if self._tensors > MOST_TENSORS:
            raise Refused(f"more than {MOST_TENSORS:,} tensors")
        return Storage(kind.value, key, count)


def _reduce(reader: Any) -> None:
    arguments = reader.stack.pop()
    function = reader.stack[-1]
    if not isinstance(function, _Call) or not isinstance(arguments, tuple):
        raise Refused("a call of what is no function of torch's")
    reader.stack[-1] = function(*arguments)


def _build(reader: Any) -> None:
    """Attributes of an ordered dict are passed over; nothing else has any."""
    reader.stack.pop()
    if not isinstance(reader.stack[-1], _Dict):
        raise Refused("attributes of what has none")


def _set_items(reader: Any) -> None:
    items = reader.pop_mark()
    target = reader.stack[-1]
    if not isinstance(target, dict) or len(items) % 2:
        raise Refused("items of what is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _set_item(reader: Any) -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    if not isinstance(reader.stack[-1], dict):
        raise Refused("an item of what is no dict")
    reader.stack[-1][_key(key)] = value


def _append(reader: Any) -> None:
    _extend(reader, [reader.stack.pop()])


def _appends(reader: Any) -> None:
    _extend(reader, reader.pop_mark())


def _extend(reader: Any, values: list[object]) -> None:
    target = reader.stack[-1]
    if type(target) is not list:
        raise Refused("an element of what is no list")
    target.extend(values)


def _unknown(code: int) -> Callable[[Any], None]:
    def refuse(_reader: Any) -> None:
        raise Refused(f"the operation {code:#04x}")

    return refuse


_OURS = {
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: _set_items,
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
}
_Reader.dispatch = {
    **{code: _unknown(code) for code in range(256)},
    **{code: pickle._Unpickler.dispatch[code] for code in _OPERATIONS},
    **{code[0]: act for code, act in _OURS.items()},
}
