"""The optional libraries: what each is for, whether it is here, and how it is got."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Extra:
    """An optional part of the package: its name in pyproject.toml, and what it needs."""

    name: str
    purpose: str
    packages: dict[str, str]
    """By name of the distribution: the module that is imported."""


EXTRAS = (
    Extra("faces", "finds faces", {"opencv-python-headless": "cv2"}),
    Extra("video", "films", {"av": "av"}),
    Extra(
        "formats",
        "HEIC and JPEG XL",
        {"pillow-heif": "pillow_heif", "pillow-jxl-plugin": "pillow_jxl"},
    ),
    Extra(
        "serve",
        "swin2sr serve",
        {
            "fastapi": "fastapi",
            "uvicorn": "uvicorn",
            "python-multipart": "python_multipart",
            "prometheus-client": "prometheus_client",
        },
    ),
    Extra("batch", "S3 and other stores", {"fsspec": "fsspec", "s3fs": "s3fs"}),
    Extra("ray", "Ray clusters", {"ray": "ray"}),
    Extra("remote", "progress of a ComfyUI server", {"websockets": "websockets"}),
    Extra("export", "ONNX files", {"onnx": "onnx", "onnxruntime": "onnxruntime"}),
    Extra("evaluate", "the FLIP metric", {"flip-evaluator": "flip_evaluator"}),
    Extra("memory", "memory in use on Windows and macOS", {"psutil": "psutil"}),
)


@dataclass(frozen=True)
class ExtraFinding:
    """What is here of an extra, as {distribution: version}, and what is missing."""

    name: str
    purpose: str
    here: dict[str, str]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "install": self.install}

    @property
    def install(self) -> str:
        """The command that gets what is missing; empty where nothing is."""
        return f"pip install {' '.join(self.missing)}" if self.missing else ""


def find_extras() -> list[ExtraFinding]:
    """Every extra; nothing is imported, for some take seconds."""
    return [_finding(each) for each in EXTRAS]


def version_of(package: str) -> str:
    """The version of a distribution; empty where it is not installed as one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _finding(extra: Extra) -> ExtraFinding:
    here, missing = {}, []
    for package, module in extra.packages.items():
        if importlib.util.find_spec(module) is None:
            missing.append(package)
        else:
            # opencv-python and others bring the same module under another name
            here[package] = version_of(package) or "of another package"
    return ExtraFinding(extra.name, extra.purpose, here, tuple(missing))
