"""The nodes: adapters between ComfyUI and the inference core."""

from .one_core import share

share(__name__.rpartition(".")[0])
