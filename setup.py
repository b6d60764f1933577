"""The packages of the wheel; all else about it is in pyproject.toml.

This folder is itself the node pack. In the wheel it is `swin2sr_pack`: a top-level package called
`nodes` would be in the way of ComfyUI's module of that name.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["swin2sr_core*", "swin2sr_headless*"]),
        "swin2sr_pack",
        "swin2sr_pack.nodes",
    ],
    package_dir={"swin2sr_pack": ".", "swin2sr_pack.nodes": "nodes"},
    script_name="setup.py",  # so that it is not taken for a module of swin2sr_pack
)
