"""The nodes: adapters between ComfyUI and the inference core."""
