"""Where the core is installed, the pack uses that one; where another is, the pack keeps its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Loads the pack in argv[1] where the repository's core can be imported, and tells what is what.
LOADER = """
import asyncio, importlib.util, json, sys, tempfile
from pathlib import Path
import swin2sr_core
from swin2sr_headless import comfy_stub

name, root = "custom/nodes with spaces", sys.argv[1]
with tempfile.TemporaryDirectory() as base, comfy_stub.installed(Path(base)):
    spec = importlib.util.spec_from_file_location(
        name, root + "/__init__.py", submodule_search_locations=[root]
    )
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    load = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())[0]
    caught = None
    try:
        load.EXECUTE_NORMALIZED(model="no such model", precision="fp32")
    except swin2sr_core.ModelNotFoundError as error:
        caught = str(error)
    except Exception as error:
        assert type(error).__name__ == "ModelNotFoundError"
    again = importlib.import_module(name + ".swin2sr_core.models.catalog")
files = {}
for key, module in list(sys.modules.items()):
    if "swin2sr_core" in key:
        files.setdefault(module.__spec__.name, set()).add(id(module))
print(json.dumps({
    "caught": caught,
    "same": again is sys.modules.get("swin2sr_core.models.catalog"),
    "core": sorted(n for n in files if n.startswith("swin2sr_core")),
    "others": sorted(n for n in files if not n.startswith("swin2sr_core")),
    "copies": max(map(len, files.values())),
}))
"""


def loaded(pack: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(pack)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def copy(tmp_path) -> Path:
    """The pack as ComfyUI has it: in a folder of its own, with its own core."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("nodes", "swin2sr_core"):
        shutil.copytree(ROOT / name, tmp_path / "pack" / name, ignore=ignored)
    shutil.copy(ROOT / "__init__.py", tmp_path / "pack")
    return tmp_path / "pack"


def test_the_installed_core_is_the_packs(copy):
    for pack in (ROOT, copy):
        found = loaded(pack)
        assert found["caught"] and found["same"]
        assert found["others"] == [], "every module has its own spec, under its real name"
        assert found["copies"] == 1


def test_a_pack_without_a_core_uses_the_installed_one(copy):
    shutil.rmtree(copy / "swin2sr_core")
    found = loaded(copy)
    assert found["caught"] and found["same"] and found["others"] == []


def test_a_pack_with_another_core_keeps_its_own(copy):
    with (copy / "swin2sr_core" / "units.py").open("a", encoding="utf-8") as file:
        file.write("# newer\n")
    found = loaded(copy)
    assert not found["caught"] and not found["same"]
    assert "custom/nodes with spaces.swin2sr_core.models.catalog" in found["others"]
