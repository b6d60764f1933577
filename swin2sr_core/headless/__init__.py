"""The core without ComfyUI: the `swin2sr` command."""
