from swin2sr_headless.comfy_stub.model_management import *
