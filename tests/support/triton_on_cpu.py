"""Triton's interpreter with bf16 as cards have it, and on the pretended card.

NumPy has no bf16, so the interpreter keeps its 16-bit words; it multiplies these as integers, and
cuts fp32 off to them instead of rounding to the nearest.
"""

# pyright: reportMissingImports=false
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import triton.language as tl
from pretended_card import Card, CardTensor
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

from swin2sr_core.kernels.card import functions


def mend_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = InterpreterBuilder.cast_impl

    def create_dot(self, a, b, d, *options):
        product = np.matmul(_floats(a), _floats(b), dtype=np.float32)
        return TensorHandle(product + d.data, d.dtype.scalar)

    def cast_impl(self, source, wanted):
        if (source.dtype.scalar, wanted.scalar) == (tl.float32, tl.bfloat16):
            return TensorHandle(_rounded(source.data), tl.bfloat16)
        return cast(self, source, wanted)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
    monkeypatch.setattr(InterpreterBuilder, "cast_impl", cast_impl)
    monkeypatch.setattr(InterpreterBuilder, "create_fp_trunc", cast_impl)


def _floats(handle: interpreter.TensorHandle) -> np.ndarray:
    if handle.dtype.scalar == tl.bfloat16:
        return (handle.data.astype(np.uint32) << 16).view(np.float32)
    return handle.data.astype(np.float32)


def _rounded(numbers: np.ndarray) -> np.ndarray:
    """fp32 -> words of bf16, to the nearest, ties to even; no NaN is looked after."""
    words = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((words + 0x7FFF + ((words >> 16) & 1)) >> 16).astype(np.uint16)


def launched_on(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's kernels of ours run on what is on the pretended card, and are counted."""
    for name, kernel in list(vars(functions).items()):
        if isinstance(kernel, interpreter.InterpretedFunction) and not name.startswith("_"):
            monkeypatch.setattr(functions, name, _Launched(card, name, kernel))


@dataclass(frozen=True)
class _Launched:
    card: Card
    name: str
    kernel: interpreter.InterpretedFunction

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*arguments: Any, **options: Any) -> None:
            self.card.launches[self.name] += 1
            for each in arguments:
                assert not isinstance(each, Tensor) or isinstance(each, CardTensor)
            with _disable_current_modes():
                self.kernel[grid](*(getattr(each, "held", each) for each in arguments), **options)

        return launch
