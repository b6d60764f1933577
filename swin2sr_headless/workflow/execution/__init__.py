"""The small executor and its stand-ins for ComfyUI's own picture nodes."""
