"""Compiles the kernels of `native/` with the compiler that is there; see docs/kernels.md."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import Swin2SRError
from ..temporary import replacing, temporary_folder
from .library import SOURCES, Library, file_name, folders

log = logging.getLogger(__name__)

_KERNELS = {
    "bf16_amx": (
        ("-mavx512f", "-mavx512bw", "-mavx512bf16", "-mfma", "-mamx-tile", "-mamx-bf16"),
        ("/arch:AVX512",),
    ),
    "bf16_avx512": (
        ("-mavx512f", "-mavx512bw", "-mavx512bf16", "-mfma"),
        ("/arch:AVX512",),
    ),
    "fp32_avx2": (("-mavx2", "-mfma"), ("/arch:AVX2",)),
    "fp32_avx512": (("-mavx512f", "-mfma"), ("/arch:AVX512",)),
}
"""By source: what gcc and clang are to be told, and what Microsoft's compiler is."""

X86 = ("x86_64", "amd64")


class BuildError(Swin2SRError):
    """The kernels could not be built. Everything works without them, slower on CPUs."""

    exit_code = 3


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler, called as `command`; `microsoft` if it takes cl's options."""

    command: tuple[str, ...]
    microsoft: bool

    @classmethod
    def find(cls) -> Compiler:
        """What CXX names, else the first that is there. Raises BuildError."""
        named = os.environ.get("CXX", "").split()
        names = [named] if named else [["g++"], ["clang++"], ["c++"], ["cl"]]
        for command in names:
            path = shutil.which(command[0])
            if path is not None:
                kind = Path(path).stem.lower()
                return cls((path, *command[1:]), kind in ("cl", "clang-cl"))
        tried = ", ".join(command[0] for command in names)
        raise BuildError(
            f"there is no C++ compiler here (looked for {tried}); install g++ or clang++ (Windows: "
            "Visual Studio's build tools), or name one in CXX. Everything works without it"
        )

    def compile(
        self, source: Path, made: Path, options: tuple[str, ...], defines: list[str]
    ) -> None:
        """Raises BuildError with what the compiler says."""
        if self.microsoft:
            told = ["/nologo", "/O2", "/std:c++17", "/EHsc", *options]
            told += [*(f"/D{name}" for name in defines), "/c", str(source), f"/Fo{made}"]
        else:
            told = ["-O3", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", *options]
            told += [*(f"-D{name}" for name in defines), "-c", str(source), "-o", str(made)]
        self._call(told)

    def link(self, objects: list[Path], made: Path, options: tuple[str, ...]) -> None:
        """Raises BuildError with what the linker says."""
        names = [str(each) for each in objects]
        if self.microsoft:
            self._call(["/nologo", "/LD", *names, f"/Fe{made}"])
        else:
            self._call(["-shared", "-pthread", *options, *names, "-o", str(made)])

    def _call(self, arguments: list[str]) -> None:
        try:
            done = subprocess.run(
                [*self.command, *arguments], capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise BuildError(f"{self.command[0]} can't be run: {error}") from error
        if done.returncode:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[:20])
            raise BuildError(f"{self.command[0]} failed ({done.returncode}):\n{said}")


def build(folder: Path | None = None, options: tuple[str, ...] = ()) -> Path:
    """Compile the library into `folder`, or where it will be found; its path.

    `options` go to every call of the compiler. A kernel that the compiler is too old for is left
    out, which is logged. Raises BuildError.
    """
    if platform.machine().lower() not in X86:
        raise BuildError(
            f"there are no fused kernels for {platform.machine() or 'this CPU'}, only for x86-64; "
            "everything works without them"
        )
    compiler = Compiler.find()
    with temporary_folder() as name:
        made = _compiled(compiler, Path(name), options)
        Library.load(made)  # what can't be loaded is not put anywhere
        return _placed(made, (folder,) if folder is not None else folders())


def _compiled(compiler: Compiler, folder: Path, options: tuple[str, ...]) -> Path:
    objects, defines = [], []
    for name, (gnu, microsoft) in _KERNELS.items():
        own = microsoft if compiler.microsoft else gnu
        try:
            compiler.compile(SOURCES / f"{name}.cpp", folder / f"{name}.o", (*own, *options), [])
        except BuildError as error:
            log.warning("left out %s: %s", name, error)
            continue
        objects.append(folder / f"{name}.o")
        defines.append(f"SWIN2SR_{name.upper()}")
    if not objects:
        raise BuildError(f"{compiler.command[0]} compiles none of the kernels; see the log")
    compiler.compile(SOURCES / "library.cpp", folder / "library.o", options, defines)
    made = folder / file_name()
    compiler.link([*objects, folder / "library.o"], made, options)
    return made


def _placed(made: Path, places: tuple[Path, ...]) -> Path:
    """A copy in the first place that takes it, whole or not at all."""
    for folder in places:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / made.name) as file:
                file.write(made.read_bytes())
        except OSError as error:
            log.info("%s takes no library: %s", folder, error)
            continue
        return folder / made.name
    tried = " or ".join(str(each) for each in places)
    raise BuildError(f"the library can't be written to {tried}; make one of them writable")
