# A package of ComfyUI.
