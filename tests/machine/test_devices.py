"""Devices and precisions: what is asked for and there, what is not, and what auto means."""

import re
import sys
from pathlib import Path

import pytest
import torch

from swin2sr_core.errors import DeviceError, InputError
from swin2sr_core.machine import cpu
from swin2sr_core.machine.devices import (
    DTYPES,
    PRECISIONS,
    free_bytes,
    has_native_bf16,
    resolve_device,
    resolve_precision,
)

CPU = torch.device("cpu")
AVAILABLE = {
    "cuda": torch.cuda.is_available(),
    "mps": torch.backends.mps.is_available(),
    "xpu": torch.xpu.is_available(),
}
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_cpu_is_always_there():
    assert resolve_device("cpu") == CPU


def test_auto_is_an_accelerator_where_there_is_one():
    device = resolve_device("auto")
    assert device == resolve_device()
    present = [kind for kind, there in AVAILABLE.items() if there]
    assert device.type in (present or ["cpu"])
    assert torch.zeros(1, device=device).item() == 0


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "xpu"])
def test_a_device_is_there_or_is_refused(name):
    kind = name.partition(":")[0]
    if AVAILABLE[kind]:
        assert resolve_device(name).type == kind
    else:
        with pytest.raises(DeviceError, match=kind) as caught:
            resolve_device(name)
        assert "cpu" in str(caught.value)
        assert caught.value.exit_code == 3


@pytest.mark.skipif(not AVAILABLE["cuda"], reason="needs a CUDA device")
def test_a_graphics_card_too_many_is_refused():
    with pytest.raises(DeviceError, match="cuda:99"):
        resolve_device("cuda:99")


@pytest.mark.parametrize("name", ["gpu", "", "nvidia", "CPU", "cuda:x", "cpu,cuda"])
def test_an_unknown_name_is_told_with_the_known_ones(name):
    with pytest.raises(InputError, match="cuda") as caught:
        resolve_device(name)
    assert name in str(caught.value)


def test_a_device_that_computes_nothing_is_refused():
    with pytest.raises(InputError):
        resolve_device("meta")


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_precision_asked_for_is_taken(name):
    assert resolve_precision(name, CPU) == name


@pytest.mark.parametrize("name", ["fp8", "", "FP32", "float32", "half"])
def test_an_unknown_precision_is_told_with_the_known_ones(name):
    with pytest.raises(InputError, match="bf16") as caught:
        resolve_precision(name, CPU)
    assert name in str(caught.value)


def test_every_precision_has_a_type():
    assert set(DTYPES) == set(PRECISIONS) - {"auto"}
    assert DTYPES["fp32"] == torch.float32 and DTYPES["bf16"] == torch.bfloat16


@ON_LINUX
def test_native_bf16_is_what_the_processor_says():
    text = Path("/proc/cpuinfo").read_text()
    said = re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", text) is not None
    assert has_native_bf16(CPU) == said


def test_bf16_is_not_native_where_torch_emulates_it():
    """Metal has no bf16 products that would be faster than fp32."""
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


@ON_LINUX
def test_free_memory_is_some_and_no_more_than_there_is():
    total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    assert total is not None
    free = free_bytes(CPU)
    assert free is not None
    assert 0 < free <= int(total[1]) * 1024


def test_a_device_that_tells_nothing_is_no_error():
    assert free_bytes(torch.device("meta")) is None


CPUS = {
    "flags\t\t: fpu avx512f avx512_bf16": (True, False),
    "flags\t\t: fpu amx_bf16 amx_tile amx_int8": (True, True),
    "flags\t\t: fpu avx2 avx_vnni": (False, True),
    "flags\t\t: fpu avx512f avx512_vnni": (False, True),
    "flags\t\t: fpu avx2 fma": (False, False),
    "Features\t: fp asimd bf16 i8mm": (True, False),
    "Features\t: fp asimd sve": (False, False),
    "flags\t\t: fpu avx512_bf16_not_really xbf16": (False, False),
    "flags\t\t:": (False, False),
}
"""Lines of /proc/cpuinfo, and whether there are native bf16 and int8 products."""


@pytest.mark.parametrize(("line", "expected"), CPUS.items())
def test_what_made_up_processors_can(line, expected, monkeypatch, tmp_path):
    text = f"model name\t: avx512_bf16\n{line}\nbugs\t\t: avx512_bf16 avx512_vnni\n"
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu, "Path", lambda _: tmp_path / "cpuinfo")
    found = cpu.has_native_bf16.__wrapped__(), cpu.has_int8_products.__wrapped__()
    assert found == expected


MAKERS = {
    "vendor_id\t: AuthenticAMD\nflags\t\t: avx512_bf16": True,
    "vendor_id\t: AuthenticAMD\nflags\t\t: avx512f": False,
    "vendor_id\t: GenuineIntel\nflags\t\t: avx512_bf16 avx512_vnni": False,
    "vendor_id\t: GenuineIntel\nflags\t\t: avx512_bf16 amx_bf16": True,
    "Features\t: fp asimd bf16 i8mm": True,
}
"""Lines of /proc/cpuinfo, and whether bf16 is faster than fp32."""


@pytest.mark.parametrize(("lines", "expected"), MAKERS.items())
def test_auto_leaves_bf16_that_is_slower_than_fp32(lines, expected, monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"{lines}\n")
    monkeypatch.setattr(cpu, "Path", lambda _: tmp_path / "cpuinfo")
    monkeypatch.setattr(cpu, "has_native_bf16", cpu.has_native_bf16.__wrapped__)
    assert cpu.bf16_is_faster.__wrapped__() == expected
    monkeypatch.setattr(cpu, "bf16_is_faster", cpu.bf16_is_faster.__wrapped__)
    assert resolve_precision("auto", CPU) == ("bf16" if expected else "fp32")


def test_what_the_allocator_holds_without_use_is_free(monkeypatch):
    """A pretended card: planning is arithmetic about what the driver says."""
    says = {"mem_get_info": (100, 1000), "memory_reserved": 70, "memory_allocated": 30}
    for name, value in says.items():
        monkeypatch.setattr(torch.cuda, name, lambda _device, value=value: value)
    assert free_bytes(torch.device("cuda")) == 100 + 70 - 30
