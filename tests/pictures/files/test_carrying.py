"""The table of docs/pictures.md, cell by cell."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from swin2sr_core.pictures import open_picture, save_picture
from swin2sr_core.pictures.files.exif import (
    ASCII,
    PHOTO_IFD,
    USER_COMMENT,
    Entry,
    Exif,
    parse_exif,
    text_entry,
)
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.files.png_chunks import PngText
from swin2sr_core.pictures.frame import Frame, to_pixels

SUFFIX = {
    "PNG": "png",
    "JPEG": "jpg",
    "WebP": "webp",
    "TIFF": "tif",
    "AVIF": "avif",
    "GIF": "gif",
    "BMP": "bmp",
}
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "pictures.md"


def table():
    rows = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    kinds = split[0][1:]
    return {
        (cells[0], kind): word
        for cells in split[2:]
        for kind, word in zip(kinds, cells[1:], strict=True)
    }


def gamma_profile(space, gamma):
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"a\0" + bytes(78)
    tags = {b"desc": text, b"wtpt": white}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        corners = {
            b"r": (28578, 14581, 912),
            b"g": (25241, 46981, 6362),
            b"b": (9376, 3972, 46799),
        }
        for name, values in corners.items():
            tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + struct.pack(">3i", *values)
            tags[name + b"TRC"] = curve
    entries, contents = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        entries += struct.pack(">4sII", name, start + len(contents), len(content))
        contents += content + b"\0" * (-len(content) % 4)
    body = struct.pack(">I", len(tags)) + entries + contents
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"none", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + body


LINEAR = ((b"gAMA", (100_000).to_bytes(4, "big")),)
PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>\xc3\xab</a></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\0\x0aa caption!"
PARAMETERS = (
    "a lighthouse, Zo\u00eb, \u653e\u5927\nNegative prompt: blur\nSteps: 20, Sampler: Euler"
)
WORKFLOW = '{"nodes": [{"title": "\u653e\u5927"}]}'
CAMERA = Exif(
    {0x010F: text_entry("A Maker"), 0x013B: Entry(ASCII, 5, "Zo\u00eb\0".encode())},
    {0x9003: text_entry("2020:02:03 04:05:06")},
    {1: text_entry("N")},
)
TITLES = ("Title", "Description", "Author", "Copyright", "Software")

ROWS = {
    "EXIF: camera, times, place, author": Metadata(exif=CAMERA.block()),
    "XMP": Metadata(xmp=PACKET),
    "IPTC": Metadata(iptc=IPTC),
    "comment of a JPEG or GIF": Metadata(comment="caf\u00e9".encode()),
    "text `parameters` (A1111)": Metadata(texts=(PngText("parameters", PARAMETERS),)),
    "texts `workflow`, `prompt` (ComfyUI)": Metadata(
        texts=(PngText("workflow", WORKFLOW), PngText("prompt", '{"3": {}}'))
    ),
    "texts Title, Description, Author, Copyright, Software": Metadata(
        texts=tuple(PngText(name, f"the {name} \u653e") for name in TITLES)
    ),
    "any other text of a PNG": Metadata(texts=(PngText("Remark", "a remark"),)),
    "ICC profile of RGB": Metadata(icc_profile=gamma_profile(b"RGB ", 1.0)),
    "ICC profile of grey": Metadata(icc_profile=gamma_profile(b"GRAY", 1.0)),
    "gAMA and cHRM, no sRGB": Metadata(png_color=LINEAR),
    "cICP of a screen's colours": Metadata(png_color=((b"cICP", b"\x0c\x08\0\x01"),)),
    "cICP of HDR, mDCV, cLLI": Metadata(
        png_color=((b"cICP", b"\x09\x10\0\x01"), (b"mDCV", bytes(24)), (b"cLLI", bytes(8)))
    ),
    "resolution (dpi)": Metadata(dpi=(300.0, 150.0)),
}
OF_COLOR = ("icc_profile", "png_color")


def test_every_row_of_the_document_is_tried():
    assert {row for row, _ in table()} == set(ROWS)


def flat(channels):
    """A middle grey, with which a curve shows."""
    return Frame(torch.full((1, channels, 24, 16), 0.5))


@pytest.mark.parametrize(("row", "kind"), table())
def test_a_cell(tmp_path, row, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    word = table()[row, kind]
    source = ROWS[row]
    path = tmp_path / f"a.{SUFFIX[kind]}"
    frame = flat(1 if row == "ICC profile of grey" else 3)

    told = save_picture(path, [frame], source)
    with open_picture(path) as picture:
        found = picture.metadata
        (written,) = picture.frames()
    level = int(to_pixels(written)[12, 8, 0])

    # what is told is told by its file, and what is kept is not talked about
    assert all("a." in each for each in told)
    assert bool(told) == (word in ("told", "to sRGB"))
    # one half in light is 188 in sRGB
    assert abs(level - (188 if word == "to sRGB" else 128)) <= 1
    assert not parse_exif(found.exif).main.keys() & {0x0112, 0x0100, 0x0101}
    CHECKS[word](source, found, kind)


def is_kept(source, found, kind):
    if source.dpi:
        assert found.dpi == pytest.approx(source.dpi, abs=0.02)
        return
    changed = [name for name in vars(source) if getattr(source, name) != getattr(Metadata(), name)]
    for name in changed:
        if name == "exif":
            assert parse_exif(found.exif) == parse_exif(source.exif)
        else:
            assert getattr(found, name) == getattr(source, name)


def is_gone(source, found, kind):
    assert found == Metadata(bits=found.bits)


def is_in_a_text(source, found, kind):
    """Read again it is what it was."""
    if source.iptc:
        assert found.iptc == source.iptc
    else:
        (text,) = found.texts
        assert text == PngText("Comment", source.comment.decode())


def is_in_exif(source, found, kind):
    exif = parse_exif(found.exif)
    values = [entry.data for entry in (*exif.main.values(), *exif.photo.values())]
    for each in source.texts:
        forms = (each.text.encode(), each.text.encode("utf-16-be"))
        assert any(form in value for value in values for form in forms)
    if source.comment:
        value = exif.photo[USER_COMMENT].data
        assert value == b"UNICODE\0" + source.comment.decode().encode("utf-16-be")


def is_for_rgb(source, found, kind):
    assert found.icc_profile[16:20] == b"RGB "


CHECKS = {
    "kept": is_kept,
    "told": is_gone,
    "to sRGB": is_gone,
    "in a text": is_in_a_text,
    "in EXIF": is_in_exif,
    "for RGB": is_for_rgb,
}


@pytest.mark.parametrize("kind", ["JPEG", "WebP", "TIFF", "AVIF"])
def test_a_workflow_comes_back(tmp_path, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    texts = (
        PngText("parameters", PARAMETERS),
        PngText("workflow", WORKFLOW),
        PngText("prompt", '{"3": {}}'),
    )
    path = tmp_path / f"a.{SUFFIX[kind]}"
    save_picture(path, [flat(3)], Metadata(texts=texts))
    with open_picture(path) as picture:
        save_picture(tmp_path / "b.png", picture.frames(), picture.metadata)
    with Image.open(tmp_path / "b.png") as image:
        assert {name: image.info[name] for name in ("parameters", "workflow", "prompt")} == {
            each.keyword: each.text for each in texts
        }


def test_a_grey_profile_of_16_bits_with_alpha_stays(tmp_path):
    """Pillow calls such a picture RGBA."""
    profile = gamma_profile(b"GRAY", 1.0)
    samples = np.arange(4 * 4 * 2, dtype=">u2").reshape(4, 8) * 2000
    rows = b"".join(b"\0" + row.tobytes() for row in samples)

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 4, 0, 0, 0))
        + chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    with open_picture(tmp_path / "a.png") as picture:
        (frame,) = picture.frames()
        assert (picture.channels, frame.channels, picture.notices) == (2, 2, ())
        assert picture.metadata.icc_profile == profile


def test_size_and_orientation_in_xmp_are_made_true(tmp_path):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'tiff:Orientation="6" tiff:ImageWidth="20"><exif:PixelYDimension>10'
        "</exif:PixelYDimension></rdf:Description></x:xmpmeta>"
    )
    image = Image.new("RGB", (20, 10))
    image.save(tmp_path / "a.webp", xmp=packet.encode(), lossless=True)
    with open_picture(tmp_path / "a.webp") as picture:
        assert picture.size == (10, 20)  # told by XMP alone
        save_picture(tmp_path / "b.png", [flat(3)], picture.metadata)
    with open_picture(tmp_path / "b.png") as picture:
        text = picture.metadata.xmp.decode()
    assert 'tiff:Orientation="1"' in text
    assert 'tiff:ImageWidth="16"' in text and "PixelYDimension>24<" in text


def test_stripped_keeps_what_the_pixels_mean():
    whole = Metadata(
        icc_profile=b"p",
        dpi=(72.0, 72.0),
        exif=CAMERA.block(),
        png_color=LINEAR,
        xmp=PACKET,
        iptc=IPTC,
        comment=b"c",
        texts=(PngText("a", "b"),),
    )
    stripped = whole.stripped()
    assert stripped == Metadata(icc_profile=b"p", dpi=(72.0, 72.0), png_color=LINEAR)
    assert replace(whole, texts=()).stripped() == stripped


def test_a_texts_own_tag_is_not_taken_from_the_camera(tmp_path):
    """ComfyUI's places are those of a camera's names: who is there first stays."""
    metadata = Metadata(exif=CAMERA.block(), texts=(PngText("workflow", WORKFLOW),))
    told = save_picture(tmp_path / "a.webp", [flat(3)], metadata)
    with open_picture(tmp_path / "a.webp") as picture:
        exif = parse_exif(picture.metadata.exif)
    assert exif.main[0x010F] == text_entry("A Maker")
    assert any("workflow" in each for each in told)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_damaged_tag_is_told_and_the_others_go_on(tmp_path, suffix, caplog):
    block = bytearray(CAMERA.block() or b"")
    at = block.index(struct.pack("<HH", 0x010F, ASCII))
    block[at + 8 : at + 12] = b"\xf0\xff\xff\xff"
    if suffix == "tif":
        Image.new("RGB", (4, 4)).save(
            tmp_path / "a.tif", tiffinfo={0x010E: "long enough", 0x013B: "Who"}
        )
        data = bytearray((tmp_path / "a.tif").read_bytes())
        at = data.index(struct.pack("<HH", 0x010E, ASCII))
        data[at + 2] = 0x63  # no type; with a place beyond its end Pillow does not open the file
        (tmp_path / "a.tif").write_bytes(data)
    else:
        Image.new("RGB", (4, 4)).save(tmp_path / f"a.{suffix}", exif=b"Exif\0\0" + bytes(block))
    with open_picture(tmp_path / f"a.{suffix}") as picture:
        exif = parse_exif(picture.metadata.exif)
        (notice,) = picture.notices
    assert 0x013B in exif.main
    assert f"a.{suffix} has damaged EXIF tags (0x010{'E' if suffix == 'tif' else 'F'})" in notice
    assert PHOTO_IFD not in exif.main
