"""A library of kernels, compiled once for the tests from the sources as they are."""

import platform

import pytest

from swin2sr_core.kernels import build, library


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The compiled library; skips where there is no compiler, or no kernel for this CPU."""
    if platform.machine().lower() not in build.X86:
        pytest.skip(f"there are no fused kernels for {platform.machine()}")
    try:
        build.Compiler.find()
    except build.BuildError as error:
        pytest.skip(str(error))
    return library.Library.load(build.build(tmp_path_factory.mktemp("kernels")))


@pytest.fixture(scope="session", params=["fp32", "bf16"])
def native(built, request):
    """The fastest kernel in that precision that this CPU can run."""
    for kernel in built.kernels:
        if kernel.precision == request.param:
            return kernel
    pytest.skip(f"this CPU has no fused kernel in {request.param}")
