"""What is decided about graphics cards by what their drivers say, which pretended ones say too."""

from types import SimpleNamespace

import pytest
import torch

from swin2sr_core.errors import DeviceError
from swin2sr_core.machine import devices
from swin2sr_core.machine.out_of_memory import is_out_of_memory, release_memory

CUDA, MPS = torch.device("cuda"), torch.device("mps")


@pytest.fixture
def card(monkeypatch):
    """Has torch find one CUDA card of a compute capability, or of ROCm's name; and it computes."""

    def there(capability=(8, 9), rocm=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        named = SimpleNamespace(gcnArchName=rocm)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: named)
        monkeypatch.setattr(torch.version, "hip", rocm and "6.2")
        monkeypatch.setattr(devices, "fault_of", lambda device: "")

    return there


@pytest.mark.parametrize(
    ("capability", "auto"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((12, 0), "bf16")],
    ids=["Pascal", "Volta", "Turing", "Ampere", "Blackwell"],
)
def test_auto_is_what_tensor_cores_know(card, monkeypatch, capability, auto):
    card(capability)
    assert devices.resolve_precision("auto", CUDA) == auto


@pytest.mark.parametrize(
    ("name", "auto"),
    [
        ("gfx906:sramecc+", "fp32"),
        ("gfx1030", "fp32"),
        ("gfx908", "bf16"),
        ("gfx90a", "bf16"),
        ("gfx942", "bf16"),
        ("gfx1100", "bf16"),
        ("gfx1201", "bf16"),
    ],
)
def test_amd_before_rdna3_has_no_fast_bf16(card, name, auto):
    card((9, 0), rocm=name)
    assert devices.resolve_precision("auto", CUDA) == auto


@pytest.fixture
def without_code(monkeypatch):
    """A card that torch finds and names, and has no code for, as on a build for other cards."""

    def refuse(*args, device=None, **kwargs):
        if device == CUDA:
            raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")
        return ones(*args, device=device, **kwargs)

    ones = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", refuse)
    devices.fault_of.cache_clear()
    yield
    devices.fault_of.cache_clear()


def test_a_card_without_code_is_not_chosen_but_told(without_code, caplog):
    assert devices.resolve_device("auto").type != "cuda"
    assert "no kernel image" in caplog.text
    with pytest.raises(DeviceError, match="no kernel image is available\\); use --device cpu"):
        devices.resolve_device("cuda")


def test_a_card_that_is_full_is_not_broken(without_code, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "ones", full)
    assert devices.resolve_device("cuda") == CUDA


def test_a_cpu_is_not_tried():
    assert devices.fault_of(torch.device("cpu")) == ""


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation: cuDNN ...",
        "cuDNN Frontend error: unable to find an engine to execute this computation",
        "Unable to find a valid cuDNN algorithm to run convolution",
        "Invalid buffer size: 12.00 GiB",
        "level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)",
        "rocblas_status_memory_error",
    ],
)
def test_texts_of_exhausted_memory(text):
    assert is_out_of_memory(RuntimeError(text))


@pytest.mark.parametrize("text", ["an illegal memory access", "no kernel image is available"])
def test_other_faults_of_cards_are_none(text):
    assert not is_out_of_memory(RuntimeError(f"CUDA error: {text}"))


def test_memory_is_released_without_asking_what_older_torch_lacks(monkeypatch):
    """torch 2.4 has no torch.mps.is_available."""
    called = []
    monkeypatch.delattr(torch.mps, "is_available", raising=False)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: called.append("mps"))
    release_memory(MPS)
    release_memory(torch.device("cpu"))
    assert called == ["mps"]


def test_what_metal_keeps_for_later_is_free(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 100, raising=False)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 90)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 30)
    assert devices.free_bytes(MPS) == 70
    monkeypatch.delattr(torch.mps, "recommended_max_memory")  # torch 2.4
    assert devices.free_bytes(MPS) > 100
