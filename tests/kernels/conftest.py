"""A library of kernels, compiled once for the tests from the sources as they are."""

import os
import platform
from pathlib import Path

import pytest
from filelock import FileLock

from swin2sr_core.kernels import build, library

EMULATION = Path(__file__).parent / "native" / "emulated_amx.h"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The compiled library; skips where there is no compiler, or no kernel for this CPU."""
    if platform.machine().lower() not in build.X86:
        pytest.skip(f"there are no fused kernels for {platform.machine()}")
    try:
        build.Compiler.find()
    except build.BuildError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of this run, which its processes share
    with FileLock(folder / "kernels.lock"):
        made = folder / "kernels" / library.file_name()
        if not made.is_file():
            build.build(made.parent, (f'-DSWIN2SR_EMULATED_AMX="{EMULATION}"',))
    return library.Library.load(made)


@pytest.fixture(scope="session", params=["fp32 AVX512", "fp32 AVX2", "bf16 AVX512", "bf16 AMX"])
def native(built, request):
    """Every kernel that this CPU can run; AMX in plain C++, where it has AVX512-BF16."""
    for kernel in built.kernels:
        if kernel.name == request.param:
            return kernel
    pytest.skip(f"this CPU has no fused kernel with {request.param}")
