"""What is installed from a wheel: the command, the nodes for `swin2sr run`, and no `nodes` package.

It builds one, which needs a network or setuptools: only with SWIN2SR_TEST_WHEEL=1.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    os.environ.get("SWIN2SR_TEST_WHEEL", "") in ("", "0"),
    reason="building a wheel is slow: set SWIN2SR_TEST_WHEEL=1",
)

SHIPPED = ("nodes", "swin2sr_core", "swin2sr_headless", "web", "locales", "example_workflows")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy, so that the checkout stays clean."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "-w", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory):
    """(*arguments) -> Python with the wheel and nothing of the checkout, in a folder of its own."""
    place, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    shutil.copy(ROOT / "examples" / "astronaut_128.png", work)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=work,
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_it_holds_what_the_checkout_ships(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"swin2sr_core", "swin2sr_headless", "swin2sr_pack"}
    for folder in SHIPPED:
        top = "" if folder.startswith("swin2sr") else "swin2sr_pack/"
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{top}{path.relative_to(ROOT).as_posix()}" in names


def test_the_main_job(installed):
    told = installed("-m", "swin2sr_core", "upscale", "astronaut_128.png", "--json")
    assert json.loads(told)["status"] == "ok"


def test_an_example_workflow(installed):
    workflow = str(ROOT / "example_workflows" / "upscale_picture.json")
    picture = "example.png=astronaut_128.png"
    told = installed("-m", "swin2sr_core", "run", workflow, "--input", picture, "--json")
    assert json.loads(told)["status"] == "done"


def test_the_pack_is_the_installed_one(installed):
    code = "from swin2sr_headless.workflow.hosts.pack import pack_folder; print(pack_folder())"
    assert Path(installed("-c", code).strip()).name == "swin2sr_pack"
