"""What the page calls nodes that nobody has given a title."""

from __future__ import annotations

from .definitions import NodeDefinition

_ENGLISH = {
    "EmptyCosmosLatentVideo": "Empty Cosmos Latent Video",
    "EmptyHunyuanImageLatent": "Empty Hunyuan Image Latent",
    "EmptyLTXVLatentVideo": "Empty LTXV Latent Video",
    "EmptyLatentHunyuan3Dv2": "Empty Hunyuan 3D v2 Latent",
    "EmptyTrellis2LatentStructure": "Empty Trellis2 Latent Structure",
    "Pixal3DConditioning": "Pixal3D Conditioning",
    "StableCascade_EmptyLatentImage": "Empty Stable Cascade Latent Image",
    "StableCascade_StageC_VAEEncode": "Stable Cascade Stage C VAE Encode",
    "TextEncodeQwenImageEdit": "Text Encode Qwen Image Edit",
    "TextEncodeQwenImageEditPlus": "Text Encode Qwen Image Edit Plus",
    "Trellis2Conditioning": "Trellis2 Conditioning",
    "Trellis2ShapeStage": "Trellis2 Shape Stage",
    "Trellis2TextureStage": "Trellis2 Texture Stage",
    "VAEDecodeHunyuan3D": "Hunyuan 3D VAE Decode",
    "VaeDecodeShapeTrellis": "Trellis2 VAE Decode Shape",
    "VaeDecodeStructureTrellis2": "Trellis2 VAE Decode Structure",
    "VaeDecodeTextureTrellis": "Trellis2 VAE Decode Texture",
}
"""Classes without a name for people on the server, that the page's own English has one for."""


def page_title(definition: NodeDefinition) -> str:
    """The title of a node of that class: the server's, else the page's, else the class's."""
    if definition.display_name not in ("", definition.name):
        return definition.display_name
    return _ENGLISH.get(definition.name, definition.name)
