from swin2sr_headless.comfy_stub.model_patcher import *
