"""Run as a program by the Python of a ComfyUI: what its own nodes make of given inputs.

    python real_nodes.py CHECKOUT CASES OUTPUT

CASES is a JSON list of [class, inputs]; a text that starts with "image" or "mask" stands for the
tensor of that name, "model" for `TestModel`. OUTPUT becomes a file of `torch.save`.
"""

import importlib
import json
import sys
from types import SimpleNamespace

import torch


class TestModel:
    """Doubles a picture, and is no network: what is left is how others call it."""

    scale = 2
    model = torch.nn.Identity()

    def to(self, _device):
        return self

    def cpu(self):
        return self

    def __call__(self, picture):
        ramp = torch.linspace(0, 0.2, 2 * picture.shape[-1])
        return torch.nn.functional.interpolate(picture, scale_factor=2.0) + ramp


def tensors() -> dict:
    """Pictures and masks, the same for everyone who asks."""
    random = torch.Generator().manual_seed(0)
    return {
        "image": torch.rand(2, 24, 37, 3, generator=random),
        "image2": torch.rand(2, 30, 20, 3, generator=random),
        "image4": torch.rand(1, 24, 37, 4, generator=random),
        "image_large": torch.rand(1, 540, 1030, 3, generator=random),
        "mask": torch.rand(2, 24, 37, generator=random),
        "mask2": torch.rand(1, 30, 20, generator=random),
    }


def given(inputs: dict) -> dict:
    known = {**tensors(), "model": TestModel()}
    return {name: known.get(v, v) if isinstance(v, str) else v for name, v in inputs.items()}


def nested(inputs: dict) -> dict:
    """{"a": key, "a.b": 1} -> {"a": {"a": key, "b": 1}}, as ComfyUI's executor does it."""
    result = {name: value for name, value in inputs.items() if "." not in name}
    for name, value in inputs.items():
        if "." in name:
            outer, inner = name.split(".")
            if not isinstance(result.get(outer), dict):
                result[outer] = {outer: result[outer]} if outer in result else {}
            result[outer][inner] = value
    return result


def main(checkout: str, cases: str, output: str) -> None:
    sys.path.insert(0, checkout)
    sys.argv = ["main.py", "--cpu"]
    importlib.import_module("comfy.options").enable_args_parsing()
    importlib.import_module("utils.extra_config")
    classes = dict(importlib.import_module("nodes").NODE_CLASS_MAPPINGS)
    for name in ("images", "mask", "post_processing", "upscale_model", "primitive", "logic"):
        try:
            module = importlib.import_module(f"comfy_extras.nodes_{name}")
        except ModuleNotFoundError:  # of a newer ComfyUI
            continue
        classes |= getattr(module, "NODE_CLASS_MAPPINGS", {})
        for each in vars(module).values():
            if hasattr(each, "define_schema") and each.__module__ == module.__name__:
                classes[each.GET_SCHEMA().node_id] = each
    newer = importlib.import_module("comfyui_version").__version__ != "0.3.64"
    results = []
    for class_type, inputs in json.loads(cases):
        node = classes.get(class_type)
        if class_type == "ImageUpscaleWithModel" and newer:  # it wants a patcher of ComfyUI's own
            node = None
        if node is None:
            results.append(None)
        elif hasattr(node, "execute"):
            node.hidden = SimpleNamespace(unique_id=None)
            results.append(tuple(node.EXECUTE_NORMALIZED(**nested(given(inputs))).result))
        else:
            results.append(tuple(getattr(node(), node.FUNCTION)(**given(inputs))))
    torch.save(results, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
