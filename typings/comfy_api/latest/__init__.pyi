from swin2sr_headless.comfy_stub.api import ComfyExtension as ComfyExtension
from swin2sr_headless.comfy_stub.api import io as io
