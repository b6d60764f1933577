"""Modules that keep what they make of their weights, for as long as these stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Self


class Deriving(nn.Module):
    """A module whose every `cached_property` is made of its own tensors, at the first use.

    A weight in a library's own layout is one. It is dropped with the weight: when the module goes
    to another device or loads a state dict. Copies and pickles go without it, as do `state_dict`
    and the module's size. Weights that are changed in place by hand leave it behind.

    `derived` is the same for others: what they make of the tensors, those of submodules included.
    """

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What code outside of the module has made of its tensors, by a name of its own."""
        return {}

    def _drop_derived(self) -> None:
        """Have all that was made of the tensors made again at the next use."""
        for name in _derived(type(self)):
            self.__dict__.pop(name, None)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def changed(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            if made is not tensor:  # else it is where it should be, as with most calls of `to`
                self._drop_derived()
            return made

        return super()._apply(changed, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._drop_derived()
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, object]:
        derived = _derived(type(self))
        return {name: value for name, value in self.__dict__.items() if name not in derived}


def _derived(kind: type) -> set[str]:
    members = (item for base in kind.__mro__ for item in vars(base).items())
    return {name for name, member in members if isinstance(member, cached_property)}
