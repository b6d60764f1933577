"""A drawn face that the detector finds, so that no test needs a photograph of a person."""

from PIL import Image, ImageDraw, ImageFilter

BOX = (84, 65, 237, 282)
"""Where the detector sees it, about: x0, y0, x1, y1."""


def drawn_face() -> Image.Image:
    """A portrait of 320 x 320 pixels: x0 to x1 and y0 to y1 of the face are in BOX."""
    image = Image.new("RGB", (320, 320), (120, 140, 150))
    draw = ImageDraw.Draw(image)
    draw.ellipse((70, 30, 250, 290), fill=(60, 40, 30))
    draw.rectangle((130, 230, 190, 320), fill=(200, 150, 120))
    draw.ellipse((85, 60, 235, 280), fill=(224, 172, 140))
    for x in (125, 195):
        draw.ellipse((x - 20, 140, x + 20, 164), fill=(245, 245, 240))
        draw.ellipse((x - 11, 140, x + 11, 164), fill=(70, 50, 30))
        draw.ellipse((x - 5, 146, x + 5, 157), fill=(10, 10, 10))
        draw.arc((x - 24, 118, x + 24, 150), 200, 340, fill=(50, 30, 20), width=6)
        draw.arc((x - 21, 136, x + 21, 168), 190, 350, fill=(60, 40, 30), width=3)
    draw.polygon([(160, 155), (147, 205), (173, 205)], fill=(205, 150, 118))
    for x in (146, 162):
        draw.ellipse((x, 196, x + 12, 208), fill=(170, 110, 85))
    draw.ellipse((130, 225, 190, 250), fill=(180, 70, 70))
    draw.line((132, 237, 188, 237), fill=(100, 30, 30), width=3)
    return image.filter(ImageFilter.GaussianBlur(2))
