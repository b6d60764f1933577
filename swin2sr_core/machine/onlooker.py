"""Looking on while torch computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Onlooker(TorchDispatchMode):
    """Sees every operation inside its `with` block once it is done; each costs microseconds."""

    def saw(self, operation: Any, inputs: object, result: object) -> None:
        """`operation` has made `result` of `inputs`: its arguments, a tuple and a dictionary."""
        raise NotImplementedError

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        inputs = (tuple(args), dict(kwargs or {}))
        result = func(*inputs[0], **inputs[1])
        self.saw(func, inputs, result)
        return result
