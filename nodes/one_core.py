"""One inference core in a process, though the pack brings one and another may be installed.

The nodes import the core from the pack (`..swin2sr_core`), which may lie in a folder of any name.
Where the very same code is installed as `swin2sr_core`, that would load all of it twice, and an
`except swin2sr_core.InputError` would not catch what a node raises. There, the pack's names of the
core and of its modules stand for the modules that are installed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_CORE = "swin2sr_core"


def share(pack: str) -> None:
    """Let `<pack>.swin2sr_core` be the installed core, if there is one and it is the same.

    To be called before the pack has imported any of its own.
    """
    alias = f"{pack}.{_CORE}"
    if alias not in sys.modules and _is_installed(Path(__file__).resolve().parents[1] / _CORE):
        sys.meta_path.insert(0, _Finder(alias))


def _is_installed(own: Path) -> bool:
    """Whether the core that everyone can import is the pack's; in a wheel the pack has none."""
    try:
        installed = importlib.import_module(_CORE).__file__
    except ImportError:
        return False
    if installed is None:  # a folder of that name somewhere on sys.path
        return False
    return not own.is_dir() or _sources(own) == _sources(Path(installed).resolve().parent)


def _sources(folder: Path) -> dict[Path, bytes]:
    # A version would not tell: between two releases, code changes and the number does not.
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


class _Finder(MetaPathFinder):
    """Finds `<alias>.x.y` by importing `swin2sr_core.x.y`."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._alias and not fullname.startswith(f"{self._alias}."):
            return None
        module = importlib.import_module(_CORE + fullname.removeprefix(self._alias))
        return ModuleSpec(fullname, _Loaded(module))


class _Loaded(Loader):
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # importing under another name has replaced it
