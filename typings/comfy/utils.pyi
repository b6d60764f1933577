from swin2sr_headless.comfy_stub.progress import *
