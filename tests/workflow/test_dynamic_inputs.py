"""Nodes whose inputs depend on a choice, or grow, in the embedded host: checked, run, converted."""

import re

import pytest
from PIL import Image

from swin2sr_headless import run_workflow

SMALL = {"width": 20, "height": 10, "batch_size": 1, "color": 0xFF0000}


def graph(**resize) -> dict:
    """A picture resized, in a batch with another one that is compared with it."""
    resize = resize or {"resize_type": "scale longer dimension", "resize_type.longer_size": 40}
    return {
        "1": {"class_type": "EmptyImage", "inputs": SMALL},
        "2": {"class_type": "EmptyImage", "inputs": SMALL | {"width": 7, "color": 255}},
        "3": {
            "class_type": "ResizeImageMaskNode",
            "inputs": {"input": ["1", 0], "scale_method": "area", **resize},
        },
        "4": {
            "class_type": "BatchImagesNode",
            "inputs": {"images.image0": ["3", 0], "images.image1": ["2", 0]},
        },
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "s"}},
        "6": {
            "class_type": "ImageCompare",
            "inputs": {
                "compare_view": {"__value__": ["", ""]},
                "image_a": ["1", 0],
                "image_b": ["3", 0],
            },
        },
    }


def test_they_run(tmp_path):
    report = run_workflow(graph(), out=tmp_path)
    assert report.ok, report
    sizes: dict[str, list] = {"output": [], "temp": []}
    for each in report.outputs:
        with Image.open(each.path) as image:
            sizes[each.kind].append((image.size, image.getpixel((0, 0))))
    red, blue = (255, 0, 0), (0, 0, 255)
    assert sizes["output"] == [((40, 20), red), ((40, 20), blue)]
    assert sorted(sizes["temp"]) == [((20, 10), red), ((40, 20), red)]


@pytest.mark.parametrize(
    ("resize", "sentence"),
    [
        ({"resize_type": "by magic"}, "resize_type must be one of scale dimensions, .*'by magic'"),
        ({"resize_type": "scale width"}, "the input resize_type.width .INT. is missing"),
        (
            {"resize_type": "scale width", "resize_type.width": -1},
            "resize_type.width must be from 0 to 16384, got -1",
        ),
        (
            {"resize_type": "match size", "resize_type.crop": "center"},
            "the input resize_type.match .IMAGE,MASK. is missing; connect it",
        ),
        ({"resize_type": "scale width", "resize_type.width": 1, "input": 5}, "a link to a IMAGE"),
    ],
)
def test_what_is_wrong_is_told_by_name(resize, sentence, tmp_path):
    (error,) = run_workflow(graph(**resize), out=tmp_path).errors
    assert (error.node, error.class_type) == ("3", "ResizeImageMaskNode")
    assert re.search(sentence, error.message)


def test_a_list_of_none_is_refused(tmp_path):
    empty = graph() | {"4": {"class_type": "BatchImagesNode", "inputs": {}}}
    (error,) = run_workflow(empty, out=tmp_path).errors
    assert "the input images.image0 (IMAGE) is missing" in error.message


def test_no_size_at_all_is_told(tmp_path):
    nothing = {"resize_type": "scale by multiplier", "resize_type.multiplier": 0.01}
    report = run_workflow(graph(**nothing), out=tmp_path)
    (error,) = report.errors
    assert "scale by multiplier would make 0x0 of 20x10 pixels" in error.message
