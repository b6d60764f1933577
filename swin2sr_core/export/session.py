"""An exported file in onnxruntime: which provider runs it, and the run itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, DeviceError, OutOfMemoryError, Swin2SRError
from ..machine.out_of_memory import is_out_of_memory
from ..planning.choices import PROVIDERS
from .contract import Contract
from .extra import needed

_NAMES: dict[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""What onnxruntime calls the providers."""


class OnnxSession:
    """A network that runs in onnxruntime, from the bytes of a checked file."""

    dtype = torch.float32
    """Of what goes in and comes out."""

    device = torch.device("cpu")
    """Where that lies; the provider takes it from there and brings it back."""

    def __init__(self, content: bytes, contract: Contract, provider: str = "auto") -> None:
        """Raises DeviceError where the provider, or onnxruntime, is not there."""
        self.contract, self.config = contract, contract.network_config
        self.weight_bytes = len(content)  # of a file of weights, about
        self.provider = chosen_provider(provider)
        self._session = _session(content, _NAMES[self.provider])

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"onnxruntime {self.provider}"

    @torch.inference_mode()
    def run(self, image: Tensor) -> Tensor:
        """B C H W float32 on the CPU, sides multiples of the window -> B C scale*H scale*W."""
        contract = self.contract
        given = {contract.input: image.float().contiguous().numpy()}
        try:
            (out,) = self._session.run([contract.output_name], given)
        except Exception as error:  # its errors are of many kinds, none of them documented
            if is_out_of_memory(error) or "llocat" in str(error):
                raise OutOfMemoryError(f"out of memory in {self.name}") from error
            raise Swin2SRError.saying(
                "session_fails",
                "{name} fails with this file: {error}",
                name=self.name,
                error=_first_line(error),
            ) from error
        return torch.from_numpy(out)


def available_providers() -> list[str]:
    """Those of `PROVIDERS` that the installed onnxruntime has. Raises DeviceError without it."""
    there = set(needed("onnxruntime").get_available_providers())
    return [name for name in PROVIDERS if _NAMES[name] in there]


def chosen_provider(name: str) -> str:
    """What `name` (auto, or one of PROVIDERS) means here. Raises DeviceError.

    auto is never TensorRT, which compiles for minutes at every new size of tile.
    """
    there = available_providers()
    if name == "auto":
        return next(each for each in there if each != "tensorrt")
    if name not in there:
        raise DeviceError(
            f"this onnxruntime has no provider {name}, only {', '.join(there)}; install the "
            "onnxruntime package for it, or choose one of these"
        )
    return name


def _session(content: bytes, provider: str) -> Any:
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # of errors we tell ourselves
    options.enable_mem_pattern = False  # it takes 1.6 times the memory, and no less time
    if provider == _NAMES["directml"]:  # its documentation asks for it
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    chain = list(dict.fromkeys([provider, _NAMES["cpu"]]))
    try:
        return runtime.InferenceSession(content, options, providers=chain)
    except Exception as error:
        raise CheckpointError.saying(
            "session_refuses",
            "onnxruntime cannot load this file: {error}",
            error=_first_line(error),
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
