"""The packages of the wheel, and the kernels of a CPU where there is a compiler.

All else about the wheel is in pyproject.toml. This folder is itself the node pack. In the wheel it
is `swin2sr_pack`: a top-level package called `nodes` would be in the way of ComfyUI's module of
that name.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
KERNELS = Path("swin2sr_core", "kernels")


def kernels(module: str) -> Any:
    """A module of swin2sr_core.kernels, without what the core itself imports: torch is not here."""
    if "swin2sr_core" not in sys.modules:
        bare = ModuleType("swin2sr_core")
        bare.__path__ = [str(ROOT / "swin2sr_core")]
        sys.modules["swin2sr_core"] = bare
    return importlib.import_module(f"swin2sr_core.kernels.{module}")


class BuildWithKernels(build_py):
    """Compiles the kernels beside the packages. Where that fails the install goes on, and says so.

    SWIN2SR_BUILD_KERNELS=0 leaves them out.
    """

    def run(self) -> None:
        super().run()
        if os.environ.get("SWIN2SR_BUILD_KERNELS", "1") == "0":
            return
        place = (ROOT if self.editable_mode else Path(self.build_lib)) / KERNELS / "built"
        build = kernels("build")
        try:
            self.announce(f"fused kernels: {build.build(place)}", level=3)
        except (build.BuildError, OSError, AttributeError) as error:
            self.warn(f"no fused kernels, so blocks run in PyTorch, slower on CPUs: {error}")


class Wheel(bdist_wheel):
    """Any Python's, and of one system and kind of CPU if the kernels are in it."""

    def get_tag(self) -> tuple[str, str, str]:
        build = self.get_finalized_command("build")
        python, abi, platform = super().get_tag()
        if not any((Path(build.build_lib) / KERNELS / "built").glob("*")):
            return python, abi, platform
        from setuptools.command.bdist_wheel import get_platform

        named = self.plat_name or get_platform(self.bdist_dir)
        return python, abi, named.lower().replace("-", "_").replace(".", "_")


setup(
    packages=[
        *find_packages(include=["swin2sr_core*", "swin2sr_headless*"]),
        "swin2sr_pack",
        "swin2sr_pack.nodes",
    ],
    package_dir={"swin2sr_pack": ".", "swin2sr_pack.nodes": "nodes"},
    cmdclass={"build_py": BuildWithKernels, "bdist_wheel": Wheel},
    script_name="setup.py",  # so that it is not taken for a module of swin2sr_pack
)
