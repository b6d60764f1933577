"""Devices, the precisions they compute in, and which of both `auto` takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from swin2sr_core.planning.choices import PRECISIONS


@dataclass(frozen=True)
class DeviceFinding:
    """One device as torch sees it.

    `precisions` says for each whether the hardware has it ("fast"), torch does without ("slow") or
    not at all ("none"). `auto`: what --precision auto is there, empty where it does not compute.
    `fault` is why it does not. Bytes are None where they are unknown.
    """

    name: str
    description: str
    chosen: bool
    precisions: dict[str, str]
    auto: str
    free_bytes: int | None
    total_bytes: int | None
    fault: str

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def find_devices() -> list[DeviceFinding]:
    """All devices, the CPU last. Raises ImportError or OSError where torch cannot be loaded."""
    import torch

    from swin2sr_core.machine.devices import resolve_device

    best = resolve_device("auto")
    found = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if torch.xpu.is_available():
        found += [torch.device("xpu", index) for index in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        found.append(torch.device("mps"))
    return [_finding(str(device), str(best)) for device in [*found, torch.device("cpu")]]


def _finding(name: str, best: str) -> DeviceFinding:
    import torch

    from swin2sr_core.machine.devices import fault_of, free_bytes, resolve_precision

    device = torch.device(name)
    if fault := fault_of(device):
        return DeviceFinding(name, _description(name), False, {}, "", None, None, fault)
    chosen = best in (name, name.partition(":")[0]) and (device.index or 0) == 0
    precisions = {each: _speed(each, name) for each in PRECISIONS if each != "auto"}
    auto = resolve_precision("auto", device)
    return DeviceFinding(
        name, _description(name), chosen, precisions, auto, free_bytes(device), _total(name), ""
    )


def _speed(precision: str, name: str) -> str:
    import torch

    from swin2sr_core.errors import DeviceError
    from swin2sr_core.machine import devices

    device = torch.device(name)
    try:
        devices.resolve_precision(precision, device)
    except DeviceError:
        return "none"
    fast = {
        "fp32": lambda: True,
        "bf16": lambda: devices.has_native_bf16(device),
        "fp16": lambda: device.type in ("xpu", "mps") or devices.has_fp16_tensor_cores(device),
        "int8": lambda: devices.has_int8_products(device),
    }
    return "fast" if fast[precision]() else "slow"


def _description(name: str) -> str:
    import torch

    device = torch.device(name)
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"
    if device.type == "xpu":
        return torch.xpu.get_device_name(device)
    if device.type == "cpu":
        return f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    return ""


def _total(name: str) -> int | None:
    import torch

    from swin2sr_core.machine.host_memory import total_host_bytes

    device = torch.device(name)
    if device.type == "cpu":
        return total_host_bytes()
    backend = {"cuda": torch.cuda, "xpu": torch.xpu}.get(device.type)
    return None if backend is None else backend.get_device_properties(device).total_memory
