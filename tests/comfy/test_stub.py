"""The stand-in for ComfyUI: its behaviour here; its names and signatures against a real ComfyUI."""

import dataclasses
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn


@pytest.fixture(scope="module")
def stub(pack) -> ModuleType:
    return pack("swin2sr_headless.comfy_stub")


# -- as the real one -----------------------------------------------------------------------------


def parameters(function) -> list[str]:
    """The names that a caller may use: those by position have other ones in other versions."""
    return [
        name
        for name, each in inspect.signature(function).parameters.items()
        if name not in ("self", "cls") and each.kind is not each.POSITIONAL_ONLY
    ]


def differences(name: str, ours: Any, theirs: Any) -> list[str]:
    """Where `ours` promises what `theirs` has not: a name, or a parameter in its place."""
    if dataclasses.is_dataclass(ours):
        known = [each.name for each in dataclasses.fields(theirs)]
        return [f"{name}.{f.name}" for f in dataclasses.fields(ours) if f.name not in known]
    if inspect.isclass(ours):
        found = []
        for part, value in vars(ours).items():
            if part.startswith("_") and part != "__init__":
                continue
            if not hasattr(theirs, part):
                found.append(f"{name}.{part} does not exist")
            elif inspect.isclass(value) or callable(getattr(ours, part)):
                found += differences(f"{name}.{part}", getattr(ours, part), getattr(theirs, part))
        init = inspect.getattr_static(ours, "__init__", None)
        return found + (differences(f"{name}()", init, theirs.__init__) if init else [])
    if inspect.isroutine(ours):
        known = parameters(theirs)
        used = [p for p in parameters(ours) if p not in ("args", "kwargs")]
        if [p for p in known if p in used] != used:
            return [f"{name}{used} is {known} there"]
    return []


def test_names_and_signatures_are_those_of_the_real_one(stub, host):
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    found = []
    for real_name, ours in stub.MODULES.items():
        theirs = importlib.import_module(real_name)
        assert theirs is not ours
        for name in ours.__all__:
            if name == "io":
                pairs = [(f"io.{n}", getattr(ours.io, n), n) for n in ours.io.__all__]
                for label, value, each in pairs:
                    found += differences(label, value, getattr(theirs.io, each))
            elif not hasattr(theirs, name):
                found.append(f"{real_name}.{name} does not exist")
            else:
                found += differences(name, getattr(ours, name), getattr(theirs, name))
    assert found == []


def test_differences_are_found():
    class Real:
        def method(self, a, b, c=1): ...

    class Good:
        def method(self, a, c=1): ...

    class Wrong:
        def method(self, b, a): ...
        def other(self): ...

    assert differences("x", Good, Real) == []
    assert len(differences("x", Wrong, Real)) == 2


# -- by itself -----------------------------------------------------------------------------------


class Weight(nn.Module):
    def __init__(self, size: int = 1000):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))


def test_it_hides_nothing_that_is_there(stub, base: Path):
    with pytest.raises(RuntimeError, match="imported already"), stub.installed(base):
        pass


def test_models_are_loaded_once_and_freed_when_room_is_needed(stub, host, monkeypatch):
    if host.real:
        pytest.skip("about the stand-in")
    mm = stub.MODULES["comfy.model_management"]
    patcher_class = stub.MODULES["comfy.model_patcher"].ModelPatcher
    cpu = torch.device("cpu")
    first, second = (patcher_class(Weight(), cpu, cpu) for _ in range(2))
    mm.load_models_gpu([first])
    mm.load_models_gpu([first, second])
    assert mm.loaded_models()[:2] == [second, first]
    monkeypatch.setattr(mm, "get_free_memory", lambda _dev: 5000 * (1 + (first.loaded_size() == 0)))
    mm.load_models_gpu([second], memory_required=6000)
    assert (first.loaded_size(), second.loaded_size()) == (0, 4000)
    mm.unload_all_models()
    assert first not in mm.loaded_models()
    assert second not in mm.loaded_models()


def test_an_interruption_is_raised_once(stub):
    mm = stub.MODULES["comfy.model_management"]
    mm.interrupt_current_processing()
    with pytest.raises(mm.InterruptProcessingException):
        mm.throw_exception_if_processing_interrupted()
    mm.throw_exception_if_processing_interrupted()


def test_files_are_found_below_their_folder_only(stub, host, base: Path, tmp_path: Path):
    if host.real:
        pytest.skip("about the stand-in")
    folder_paths = stub.MODULES["folder_paths"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").touch()
    (tmp_path.parent / "secret.bin").touch()
    folder_paths.add_model_folder_path("test", str(tmp_path))
    try:
        assert folder_paths.get_filename_list("test") == [str(Path("sub/a.bin"))]
        assert folder_paths.get_full_path("test", "sub/a.bin") == str(tmp_path / "sub" / "a.bin")
        assert folder_paths.get_full_path("test", "../secret.bin") is None
    finally:
        del folder_paths.folder_names_and_paths["test"]


def test_nodes_cannot_keep_state_while_they_execute(stub):
    io = stub.MODULES["comfy_api.latest"].io

    class Keeping(io.ComfyNode):
        @classmethod
        def execute(cls):
            cls.cache = 1

    with pytest.raises(AttributeError, match="locked"):
        Keeping.EXECUTE_NORMALIZED()
