"""The nodes: adapters between ComfyUI and the inference core."""

import importlib
import sys

try:
    importlib.import_module("..swin2sr_core.alpha", __name__)
except ModuleNotFoundError as error:
    # Some modules of the core call each other by the name they have when they are installed.
    if error.name != "swin2sr_core":
        raise
    sys.modules["swin2sr_core"] = importlib.import_module("..swin2sr_core", __name__)
