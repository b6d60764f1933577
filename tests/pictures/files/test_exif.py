import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swin2sr_core.pictures.files import exif as exif_module
from swin2sr_core.pictures.files.exif import (
    ASCII,
    GPS_IFD,
    PHOTO_IFD,
    SHORT,
    Entry,
    Exif,
    numbers_entry,
    parse_exif,
    read_exif,
    text_entry,
)

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 11: 4, 12: 8}


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(sorted(WIDTHS)))
    items = draw(st.integers(1, 9))
    size = items * WIDTHS[kind]
    return Entry(kind, items, draw(st.binary(min_size=size, max_size=size)))


descriptive = st.sampled_from([0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9B])
any_tag = st.integers(1, 0xFFFF)


@given(
    st.dictionaries(descriptive, entries()),
    st.dictionaries(any_tag, entries()),
    st.dictionaries(any_tag, entries()),
    st.booleans(),
)
def test_what_is_written_is_read(main, photo, gps, big_endian):
    exif = Exif(main, photo, gps, big_endian)
    block = exif.block() or b""
    assert bool(block) == bool(exif)
    if not exif:
        return
    assert read_exif(block) == (exif, [])
    assert read_exif(b"Exif\0\0" + block) == (exif, [])


@pytest.mark.parametrize("big_endian", [False, True])
def test_pillow_reads_what_is_written(big_endian):
    exif = Exif(
        {0x010E: text_entry("words"), 0x0112: numbers_entry(SHORT, 6)},
        {0x8827: numbers_entry(SHORT, 100, 200, 400)},
        {1: text_entry("N"), 2: Entry(5, 3, struct.pack("<6I", 52, 1, 31, 1, 25, 2))},
        big_endian,
    )
    read = Image.Exif()
    read.load(exif.block() or b"")
    assert dict(read.get_ifd(PHOTO_IFD)) == {0x8827: (100, 200, 400)}
    assert [float(each) for each in read.get_ifd(GPS_IFD)[2]] == [52, 31, 12.5]
    assert read[0x010E] == "words" and read[0x0112] == 6 and exif.orientation == 6


def test_every_text_stays_the_bytes_it_was():
    utf8, latin, windows = (
        "Zoë 放大\0".encode(),
        "Zoë\0".encode("latin-1"),
        "é放".encode("utf-16le"),
    )
    main = {
        0x010E: Entry(ASCII, len(utf8), utf8),
        0x013B: Entry(ASCII, len(latin), latin),
        0x9C9B: Entry(1, len(windows), windows),
    }
    described = parse_exif(Exif(main, big_endian=True).block()).described()
    assert described.main == main


@pytest.mark.parametrize("damaged", range(4))
def test_one_damaged_entry_costs_that_entry(damaged):
    tags = [0x010E, 0x010F, 0x0131, 0x013B]
    whole = Exif({tag: text_entry(f"text number {tag}") for tag in tags})
    block = bytearray(whole.block() or b"")
    entry = 8 + 2 + 12 * damaged
    for change in (
        struct.pack("<I", 0xFFFFFFF0),  # its place, beyond the end
        None,
    ):
        broken = bytearray(block)
        if change:
            broken[entry + 8 : entry + 12] = change
        else:
            broken[entry + 2 : entry + 4] = b"\x63\0"  # a type that does not exist
        exif, lost = read_exif(bytes(broken))
        assert lost == [tags[damaged]]
        assert exif.main == {tag: whole.main[tag] for tag in tags if tag != tags[damaged]}


def test_a_directory_elsewhere_costs_that_directory():
    whole = Exif({0x010E: text_entry("a text")}, {0x9003: text_entry("2020")}, {1: text_entry("N")})
    block = whole.block() or b""
    at = block.index(struct.pack("<HHI", PHOTO_IFD, 4, 1)) + 8
    exif, lost = read_exif(block[:at] + b"\xff\xff\xff\x7f" + block[at + 4 :])
    assert lost == [PHOTO_IFD]
    assert exif == Exif(whole.main, {}, whole.gps)


@pytest.mark.parametrize(
    "block", [b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\x7f garbage", b"MM\0*"]
)
def test_what_is_no_block_is_said(block):
    with pytest.raises(ValueError, match=r"TIFF block|lies outside"):
        read_exif(block)
    assert parse_exif(block) == Exif()


@given(st.binary(max_size=200))
def test_any_bytes_end_well(data):
    parse_exif(b"II*\0\x08\0\0\0" + data)
    parse_exif(b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10" + data)


def test_entries_that_share_bytes_do_not_multiply_them(monkeypatch):
    monkeypatch.setattr(exif_module, "TEXT_BYTES", 100_000)
    shared = struct.pack("<H", 50)
    for tag in range(50):
        shared += struct.pack("<HHII", tag + 1, 7, 60_000, 700)
    pointer = struct.pack("<HHHII", 1, PHOTO_IFD, 4, 1, 8 + 18)
    block = b"II*\0\x08\0\0\0" + pointer + b"\0\0\0\0" + shared + bytes(70_000)
    exif, lost = read_exif(block)
    assert sum(len(entry.data) for entry in exif.photo.values()) <= 100_000
    assert len(lost) == 49


def test_a_big_tiff_is_read_too():
    text, order = b"an older tale\0", ">"
    head = struct.pack(f"{order}2sHHHQ", b"MM", 43, 8, 0, 16)
    table = struct.pack(f"{order}QHHQQ", 2, 0x010E, 2, len(text), 16 + 8 + 40 + 8)
    table += struct.pack(f"{order}HHQ8s", 0x0112, 3, 1, b"\0\x08")
    exif, lost = read_exif(io.BytesIO(head + table + bytes(8) + text))
    assert not lost and exif.orientation == 8
    assert exif.main[0x010E].data == text


@pytest.mark.parametrize(
    ("unit", "expected"), [(None, (300, 150)), (2, (300, 150)), (3, (762, 381)), (1, None)]
)
def test_the_resolution(unit, expected):
    exif = Exif().with_dpi((300, 150))
    if unit is None:
        del exif.main[0x0128]
    else:
        exif.main[0x0128] = numbers_entry(SHORT, unit)
    assert parse_exif(exif.block()).dpi == (pytest.approx(expected) if expected else None)


@pytest.mark.parametrize("nonsense", [(0, 1), (1, 0), (2**32 - 1, 1)])
def test_a_nonsensical_resolution_is_none(nonsense):
    exif = Exif().with_dpi((72, 72))
    exif.main[0x011A] = Entry(5, 1, struct.pack("<II", *nonsense))
    assert exif.dpi is None


def test_the_old_size_and_the_orientation_do_not_go_on():
    main = {0x0112: numbers_entry(SHORT, 6), 0x010E: text_entry("words")}
    photo = {0xA002: numbers_entry(SHORT, 640), 0x9003: text_entry("2020:02:03 04:05:06")}
    described = Exif(main, photo).described()
    assert described == Exif({0x010E: main[0x010E]}, {0x9003: photo[0x9003]})
