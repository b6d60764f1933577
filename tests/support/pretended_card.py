"""A graphics card that is not there: tensors that say that they are on cuda:0, in the CPU's memory.

What runs on it is real, and everything is seen: tensors of both devices in one operation, an
operation that CUDA lacks, what waits for the card, what moves, what is live. Times it can't tell.
"""

from __future__ import annotations

import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_iter, tree_map

CUDA = torch.device("cuda:0")

_WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2"}
"""Operations whose result the host has to know: it waits for all that was asked for before."""

_CPU_ALONE = {"mkldnn", "onednn", "quantized", "mkldnn_prepacked", "onednn_prepacked"}
_NO_LAUNCH = {"empty", "empty_like", "empty_strided", "new_empty", "detach", "alias"}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
_COMPOSITE = "CompositeImplicitAutograd"
_ROWS = 16, 8
"""CUDA's int8 products want more rows than the first, and the other sides by the second."""


class CardTensor(torch.Tensor):
    """`held` has the numbers. It is of torch's meta device, as far as C++ asks."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> CardTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device("meta"),
        )
        made.held = held
        return made

    device = property(lambda self: CUDA)  # pyright: ignore[reportAssignmentType]
    is_cuda = property(lambda self: True)  # pyright: ignore[reportAssignmentType]
    is_meta = property(lambda self: False)  # pyright: ignore[reportAssignmentType]

    @property
    def data(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        """As a module does with its parameters when it changes their type."""
        assert isinstance(other, CardTensor)
        self.held = other.held
        vars(torch._C.TensorBase)["data"].__set__(self, other)

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on the card, outside of `with Card()`")


class Card(TorchDispatchMode):
    """`with Card() as card:` the machine has one. Nothing of it may be used outside.

    Raises AssertionError for what a card could not do, and torch's error where its memory has run
    out: beyond the fraction that this process may have, or what another one, `taken`, has left.
    `launches`, `waits` (per place in our code),
    `to_card` and `to_host` (bytes) count; `live` and `peak` are bytes on the card.
    """

    def __init__(self, capability: tuple[int, int] = (8, 6), memory: int = 8 << 30) -> None:
        super().__init__()
        self.capability, self.memory = capability, memory
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.to_card = self.to_host = self.live = self.peak = self.taken = 0
        self.fraction = 1.0
        self._sizes: dict[int, int] = {}
        self._pinned: set[int] = set()
        self._pending: list[Callable[[], None]] = []

    def __enter__(self) -> Card:
        self._patched = _patched(self)
        self._patched.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.settle()
        self._patched.__exit__(None, None, None)

    # -- what is asked of the driver -------------------------------------------------------------

    @property
    def limit(self) -> int:
        return min(int(self.fraction * self.memory), self.memory - self.taken)

    def allow(self, fraction: float, device: object = None) -> None:
        """What is free for all does not change by it: as with torch."""
        self.fraction = fraction

    def reset_peak(self) -> None:
        self.peak = self.live

    def wait(self) -> None:
        """The host waits for all that was asked for."""
        self.waits[_place()] += 1
        self.settle()

    def settle(self) -> None:
        """What was copied without waiting arrives."""
        pending, self._pending = self._pending, []
        with _disable_current_modes():
            for arrive in pending:
                arrive()

    # -- operations ------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # What is on the card is no inference tensor: such may have no views of tensors of before.
        with torch.inference_mode(False), torch.no_grad():
            return self._run(func, args, dict(kwargs or {}))

    def _run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if func.overloadpacket is torch.ops.aten.to:
            return self._to(func, args, kwargs)
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self._seen_again():
                # in C++, as a card has it: there are others in Python, which compute otherwise
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        name = func.overloadpacket.__name__
        tensors = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, CardTensor)]
        device = kwargs.get("device")
        if device is not None:
            kwargs["device"] = torch.device("cpu")
        to_card = torch.device(device).type == "cuda" if device is not None else bool(ours)
        pinned = kwargs.pop("pin_memory", False)
        if name == "_to_copy" and bool(ours) != to_card:
            return self._moved(func, args, kwargs, to_card)
        if name == "copy_" and isinstance(args[0], CardTensor) != isinstance(args[1], CardTensor):
            return self._copied(args[0], args[1], len(args) > 2 and args[2])
        if not ours and not to_card:
            made = func(*args, **kwargs)
            if pinned:
                self._pinned.add(made.untyped_storage()._cdata)
            return made
        _check(func, name, args, tensors, ours)
        if name in _WAITING:
            self.wait()
        elif not func.is_view and name not in _NO_LAUNCH:
            self.launches[name] += 1
        held = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        same = {id(tensor.held): tensor for tensor in ours}
        return tree_map(lambda made: self._of_card(made, same, func.is_view), held)

    @contextmanager
    def _seen_again(self) -> Iterator[None]:
        """What an operation is made of comes here, too."""
        super().__enter__()
        try:
            yield
        finally:
            super().__exit__(None, None, None)

    def _to(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Taken apart by its names here: C++ would look for the card."""
        names = [argument.name for argument in func._schema.arguments]
        wanted = {**dict(zip(names, args, strict=False)), **kwargs}
        tensor, other = wanted["self"], wanted.get("other")
        dtype = wanted.get("dtype") or (tensor if other is None else other).dtype
        device = wanted.get("device") or (tensor if other is None else other).device
        device = CUDA if torch.device(device).type == "cuda" else torch.device("cpu")
        if tensor.dtype == dtype and tensor.device == device and not wanted.get("copy"):
            return tensor
        waits = {"non_blocking": wanted.get("non_blocking", False)}
        with self._seen_again():
            return torch.ops.aten._to_copy(tensor, dtype=dtype, device=device, **waits)

    def _moved(self, func: Any, args: Any, kwargs: Any, to_card: bool) -> Tensor:
        waiting = not kwargs.pop("non_blocking", False)
        if waiting and not to_card:
            self.wait()
        made = func(*tree_map(_held, args), **kwargs)
        assert waiting or to_card, "what comes to pageable memory without waiting is not there yet"
        self._count(made, to_card)
        return self._of_card(made, {}, False) if to_card else made

    def _copied(self, target: Tensor, source: Tensor, non_blocking: bool) -> Tensor:
        to_card = isinstance(target, CardTensor)
        host = source if to_card else target
        self._count(source, to_card)
        source, into = _held(source), _held(target)
        if not non_blocking or host.untyped_storage()._cdata not in self._pinned:
            if not to_card:
                self.wait()
            into.copy_(source)
            return target
        with _disable_current_modes():
            kept = source.clone()
            if to_card:
                into.copy_(source)
                self._pending.append(lambda: _unchanged(source, kept))
            else:
                into.fill_(float("nan"))  # whoever reads it before it is there, reads that
                self._pending.append(lambda: _arrive(into, kept))
        return target

    def _count(self, moved: Tensor, to_card: bool) -> None:
        if to_card:
            self.to_card += moved.nbytes
        else:
            self.to_host += moved.nbytes

    def _of_card(self, made: Any, same: dict[int, CardTensor], view: bool) -> Any:
        if not isinstance(made, Tensor):
            return made
        if id(made) in same:  # in place, or written into `out`
            return same[id(made)]
        storage = made.untyped_storage()
        if not view and storage._cdata not in self._sizes:
            if self.live + storage.nbytes() > self.limit:
                raise torch.cuda.OutOfMemoryError(
                    "CUDA out of memory, as far as it is there at all"
                )
            self._sizes[storage._cdata] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, storage._cdata)
        return CardTensor(made)

    def _forget(self, storage: int) -> None:
        self.live -= self._sizes.pop(storage, 0)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, CardTensor) else value


def _arrive(target: Tensor, values: Tensor) -> None:
    target.copy_(values)


def _unchanged(source: Tensor, kept: Tensor) -> None:
    assert torch.equal(source, kept), "pinned memory was written to while it was on its way"


def _check(func: Any, name: str, args: Any, tensors: list[Tensor], ours: list[CardTensor]) -> None:
    """Raises AssertionError for what CUDA would refuse."""
    for tensor in tensors:
        alone = isinstance(tensor, CardTensor) or tensor.dim() == 0 or name in _INDEXING
        assert alone or not ours, f"{func} has tensors of both devices, at {_place()}"
    assert func.namespace not in _CPU_ALONE, f"{func} is for CPUs alone, at {_place()}"
    if name == "_int_mm":
        (rows, inner), (_, columns) = args[0].shape, args[1].shape
        assert rows > _ROWS[0], f"CUDA's int8 product has {rows} rows"
        assert inner % _ROWS[1] == columns % _ROWS[1] == 0, f"its sides are {inner}, {columns}"
    if name in ("index_copy", "index_copy_"):
        assert args[2].dtype == torch.int64, "index_copy_ wants int64 there"


def _place() -> str:
    """The innermost function of ours that has asked, as file:function."""
    for frame in reversed(traceback.extract_stack()):
        path = frame.filename.replace("\\", "/")
        if "/swin2sr_core/" in path or "/nodes/" in path:
            return f"{path.rpartition('/')[2]}:{frame.name}"
    return "the test itself"


@contextmanager
def _patched(card: Card) -> Iterator[None]:
    """What torch says of cards."""

    class Event:
        def record(self, stream: object = None) -> None:
            pass

        def synchronize(self) -> None:
            card.wait()

    answers = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "device": lambda device=None: nullcontext(),
        "current_stream": lambda device=None: SimpleNamespace(synchronize=card.wait),
        "get_device_capability": lambda device=None: card.capability,
        "get_device_name": lambda device=None: "pretended",
        "get_device_properties": lambda device=None: SimpleNamespace(
            name="pretended", total_memory=card.memory
        ),
        "mem_get_info": lambda device=None: (card.memory - card.taken - card.live, card.memory),
        "set_per_process_memory_fraction": card.allow,
        "memory_allocated": lambda device=None: card.live,
        "memory_reserved": lambda device=None: card.live,
        "max_memory_allocated": lambda device=None: card.peak,
        "max_memory_reserved": lambda device=None: card.peak,
        "reset_peak_memory_stats": lambda device=None: card.reset_peak(),
        "synchronize": lambda device=None: card.wait(),
        "empty_cache": lambda: None,
        "Event": Event,
    }
    made = torch.tensor

    def tensor(values: Any, *, device: Any = None, **kwargs: Any) -> Tensor:
        return made(values, **kwargs).to(device or "cpu")  # else C++ takes it there

    with mock.patch.multiple(torch.cuda, **answers), mock.patch.object(torch, "tensor", tensor):
        yield
