from swin2sr_headless.comfy_stub.folder_paths import *
