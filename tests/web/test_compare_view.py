"""Compare: the divider, zoom and movement, keys, fingers, batches, sizes, full screen, leaks."""

import numpy as np
import pytest

from .conftest import pixels

TIMES = "\N{MULTIPLICATION SIGN}"
RED, BLUE, GREEN = (220, 0, 0), (0, 0, 220), (0, 200, 0)


@pytest.fixture
def show(page):
    """(list, list) -> a CompareView on the page as `view`, its pictures drawn."""

    def show_(a, b):
        page.evaluate(OPEN, [a, b])

    return show_


OPEN = """async ([a, b]) => {
  const frame = () => new Promise(requestAnimationFrame)
  window.settled = async () => (await frame(), await frame())
  const { CompareView } = await import('/web/js/compare_view.js')
  window.view = new CompareView()
  place.replaceChildren(view.root)
  view.show(a, b)
  await view.goTo(0)
  await settled()
}"""


@pytest.fixture
def pair(show, flat):
    """Red before, blue after, of the same size."""
    show([flat("red.png", RED)], [flat("blue.png", BLUE)])


def settle(page):
    page.evaluate("settled()")


def stage(page):
    return page.locator(".swin2sr-stage")


def drag(page, start, end, steps=5):
    box = stage(page).bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=steps)
    page.mouse.up()
    settle(page)


def column(page, part):
    """The colour in the middle of the stage's height, at a part of its width."""
    found = pixels(stage(page))
    return tuple(found[found.shape[0] // 3, int(part * (found.shape[1] - 1))])


# -- the divider ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [0.2, 0.5, 0.8])
def test_dragging_shows_before_to_the_left_and_after_to_the_right(to, page, pair):
    drag(page, (0.5, 0.5), (to, 0.5))
    for part in (0.1, to - 0.03, to + 0.03, 0.9):
        assert column(page, part) == (RED if part < to else BLUE)


def test_a_press_anywhere_brings_the_divider_there(page, pair):
    box = stage(page).bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 20)
    settle(page)
    assert page.evaluate("view.divider") == pytest.approx(0.7, abs=0.01)


def test_a_page_that_scales_nodes_is_allowed_for(page, pair):
    """ComfyUI's canvas puts a scale on what is in its nodes."""
    page.evaluate("place.style.cssText += 'transform: scale(0.6); transform-origin: 0 0'")
    drag(page, (0.5, 0.5), (0.25, 0.5))
    assert page.evaluate("view.divider") == pytest.approx(0.25, abs=0.01)
    assert column(page, 0.15) == RED
    assert column(page, 0.4) == BLUE


def test_what_is_transparent_does_not_show_the_other_picture(page, show, flat):
    show([flat("red.png", RED)], [flat("clear.png", (0, 0, 220, 0))])
    assert column(page, 0.25) == RED
    assert len({column(page, 0.75), column(page, 0.76), column(page, 0.77)} & {RED, BLUE}) == 0


# -- sizes ---------------------------------------------------------------------------------------


def dotted(side, at):
    """Grey with a green square in the middle of the point `at`, a 16th of the side wide."""
    image = np.full((side, side, 3), 90, np.uint8)
    x, y = (int((part - 1 / 32) * side) for part in at)
    image[y : y + side // 16, x : x + side // 16] = GREEN
    return image


def centre_of_green(page):
    found = pixels(stage(page))
    return np.argwhere(found[..., 1] - found[..., 0] > 60).mean(axis=0)


@pytest.mark.parametrize("zoom", [1, 3.7])
def test_pictures_of_different_sizes_lie_on_one_another(zoom, page, show, picture):
    at = (26 / 64, 38 / 64)
    show([picture("small.png", dotted(64, at))], [picture("large.png", dotted(256, at))])
    page.evaluate("z => view.zoomBy(z, [180, 150])", zoom)
    centres = []
    for part in (1, 0):
        page.evaluate("part => view.setDivider(part)", part)
        settle(page)
        centres.append(centre_of_green(page))
    assert np.abs(centres[0] - centres[1]).max() < 1.5


def test_another_shape_keeps_its_proportions(page, show, flat):
    show([flat("wide.png", RED, 200, 50)], [flat("square.png", BLUE, 150, 150)])
    page.evaluate("view.setDivider(1)")
    settle(page)
    red = (pixels(stage(page)) == RED).all(axis=-1)
    rows, columns = (np.flatnonzero(red.any(axis=axis)) for axis in (1, 0))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(4, rel=0.15)


def test_one_list_may_be_empty(page, show, flat):
    show([], [flat("blue.png", BLUE)])
    assert column(page, 0.9) == BLUE
    show([], [])
    assert "Run the workflow" in stage(page).inner_text()


def test_a_picture_that_is_gone_is_told(browser, site, page, flat):
    """The browser itself complains of a missing file: on a page that does not mind."""
    context = browser.new_context(viewport={"width": 800, "height": 600})
    other = context.new_page()
    other.goto(f"{site.url}/page-dark-en")
    other.wait_for_function("window.ready")
    other.evaluate(OPEN, [["/missing.png"], [flat("blue.png", BLUE)]])
    assert "temporary files are deleted" in stage(other).inner_text()
    context.close()


# -- zoom and movement ---------------------------------------------------------------------------


def test_laws_of_zooming_and_moving(page):
    failures = page.evaluate(
        """async () => {
          const g = await import('/web/js/compare_geometry.js')
          let seed = 1
          const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647
          const failures = []
          for (let n = 0; n < 2000; n++) {
            const stage = [50 + 900 * random(), 50 + 900 * random()]
            const content = [1 + Math.floor(5000 * random()), 1 + Math.floor(5000 * random())]
            const any = { zoom: 1 + 20 * random(), x: random(), y: random() }
            const view = g.bounded(any, stage, content)
            const again = g.bounded(view, stage, content)
            const off = Math.abs(again.x - view.x) + Math.abs(again.y - view.y)
            if (off > 1e-9) failures.push('bounded twice')
            const p = g.placed(view, stage, content)
            const axes = [[p.left, p.width, stage[0]], [p.top, p.height, stage[1]]]
            for (const [start, length, side] of axes) {
              if (length <= side + 1e-6) {
                if (Math.abs(start + length / 2 - side / 2) > 1e-6) failures.push('not centred')
              } else if (start > 1e-6 || start + length < side - 1e-6) failures.push('empty border')
            }
            const point = [stage[0] * random(), stage[1] * random()]
            const factor = 0.5 + 2 * random()
            const next = g.zoomedAt(view, factor, point, stage, content)
            const q = g.placed(next, stage, content)
            const free = (start, length, side) =>
              length > side && start < -1e-6 && start + length > side + 1e-6
            if (free(q.left, q.width, stage[0])) {
              const before = (point[0] - p.left) / p.width
              const after = (point[0] - q.left) / q.width
              if (Math.abs(before - after) > 1e-6) failures.push('the point moved')
            }
            const most = g.mostZoom(stage, content) + 1e-9
            if (next.zoom < 1 || next.zoom > most) failures.push('zoom')
            const there = g.moved(view, 3, 0, stage, content)
            const back = g.moved(there, -3, 0, stage, content)
            if (free(p.left + 4, p.width, stage[0]) && free(p.left - 4, p.width, stage[0]) &&
                Math.abs(back.x - view.x) > 1e-9) failures.push('there and back')
          }
          return [...new Set(failures)]
        }"""
    )
    assert failures == []


def test_both_pictures_move_and_zoom_together(page, show, picture):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    show([picture("a.png", noise)], [picture("b.png", np.kron(noise, np.ones((2, 2, 1))))])
    page.evaluate("view.zoomBy(4, [100, 100])")
    before = page.evaluate("view.view")
    drag(page, (0.8, 0.5), (0.6, 0.7))
    assert page.evaluate("view.divider") == 0.5, "the drag moved the pictures"
    boxes = page.evaluate(
        "[...document.querySelectorAll('.swin2sr-inner img')]"
        ".map((each) => each.style.transform + each.style.width)"
    )
    assert boxes[0] == boxes[1]
    after = page.evaluate("view.view")
    assert (after["x"] > before["x"], after["y"] < before["y"]) == (True, True)


def test_the_wheel_zooms_only_what_was_clicked(page, pair):
    box = stage(page).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -300)
    settle(page)
    assert page.evaluate("view.view.zoom") == 1
    page.mouse.click(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -300)
    page.wait_for_function("view.view.zoom > 1.2")


def test_single_pixels_are_drawn_as_squares(page, show, picture):
    board = np.indices((8, 8)).sum(axis=0) % 2 * 255
    address = picture("board.png", np.repeat(board[..., None], 3, axis=2))
    show([address], [address])
    found = pixels(stage(page))[30:-30, 75:190]
    assert np.isin(found, (0, 255)).mean() > 0.97


# -- keys ----------------------------------------------------------------------------------------


def press(page, *keys):
    page.locator(".swin2sr-handle").focus()
    for key in keys:
        page.keyboard.press(key)
    settle(page)


@pytest.mark.parametrize(
    ("keys", "divider"),
    [
        (["ArrowLeft"], 0.49),
        (["ArrowRight", "ArrowRight"], 0.52),
        (["Shift+ArrowLeft"], 0.4),
        (["Home"], 0),
        (["End", "ArrowRight"], 1),
    ],
)
def test_keys_move_the_divider(keys, divider, page, pair):
    press(page, *keys)
    assert page.evaluate("view.divider") == pytest.approx(divider)


def test_keys_zoom_and_move(page, pair):
    press(page, "+", "+")
    assert page.evaluate("view.view.zoom") == pytest.approx(1.96)
    press(page, "Alt+ArrowRight")
    assert page.evaluate("view.view.x") > 0.5
    press(page, "-")
    assert page.evaluate("view.view.zoom") == pytest.approx(1.4)
    press(page, "0")
    assert page.evaluate("[view.view.zoom, view.view.x]") == [1, 0.5]


def test_keys_that_are_not_ours_reach_the_page_and_ours_do_not(page, pair):
    page.evaluate("window.seen = []; document.addEventListener('keydown', (e) => seen.push(e.key))")
    press(page, "ArrowLeft", "+", "q", "Control+ArrowLeft", "Escape", "Delete")
    assert page.evaluate("seen.filter((k) => k !== 'Control')") == [
        "q",
        "ArrowLeft",
        "Escape",
        "Delete",
    ]


# -- fingers -------------------------------------------------------------------------------------


def touch(session, kind, *points):
    session.send(
        "Input.dispatchTouchEvent",
        {
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)],
        },
    )


def test_a_finger_drags_and_two_pinch(open_page, flat):
    page = open_page(has_touch=True)
    page.evaluate(OPEN, [[flat("red.png", RED)], [flat("blue.png", BLUE)]])
    session = page.context.new_cdp_session(page)
    touch(session, "touchStart", (200, 100))
    touch(session, "touchMove", (100, 100))
    touch(session, "touchEnd")
    settle(page)
    assert page.evaluate("view.divider") == pytest.approx(0.25, abs=0.01)
    touch(session, "touchStart", (180, 100), (220, 100))
    for step in range(1, 6):
        touch(session, "touchMove", (180 - 10 * step, 100), (220 + 10 * step, 100))
    touch(session, "touchEnd")
    settle(page)
    assert page.evaluate("view.view.zoom") == pytest.approx(140 / 40, rel=0.1)
    assert page.evaluate("view.divider") == pytest.approx(0.25, abs=0.01), (
        "a pinch moves no divider"
    )


# -- batches -------------------------------------------------------------------------------------


def test_batches_are_shown_pair_by_pair(page, show, flat):
    show(
        [flat("red.png", RED)],
        [flat("blue.png", BLUE), flat("green.png", GREEN), flat("grey.png", (99, 99, 99))],
    )
    assert page.locator(".swin2sr-counter").inner_text() == "1 / 3"
    page.get_by_role("button", name="Next pair").click()
    page.wait_for_function("view.sides.b.image.src.endsWith('green.png') && view.sides.b.natural")
    settle(page)
    assert (column(page, 0.1), column(page, 0.9)) == (RED, GREEN)
    press(page, "PageDown", "PageDown", "PageDown")
    assert page.locator(".swin2sr-counter").inner_text() == "3 / 3"
    press(page, "PageUp")
    assert page.evaluate("view.index") == 1


def test_a_shorter_batch_later_does_not_leave_the_index_behind(page, show, flat):
    red, blue = flat("red.png", RED), flat("blue.png", BLUE)
    show([red] * 5, [blue] * 5)
    page.evaluate("view.goTo(4)")
    page.evaluate("([a, b]) => view.show(a, b)", [[red], [blue]])
    assert page.evaluate("[view.index, view.count]") == [0, 1]
    assert page.locator(".swin2sr-steps").is_hidden()


# -- screen readers, languages, full screen ------------------------------------------------------


def test_screen_readers_are_told(page, pair):
    slider = page.get_by_role("slider", name="Divider between before and after")
    press(page, "Home", "ArrowRight")
    assert slider.get_attribute("aria-valuenow") == "1"
    assert slider.get_attribute("aria-valuetext") == "1 % before"
    assert page.get_by_role("group", name="Compare before and after").count() == 1
    assert page.get_by_role("img", name=f"before, 64{TIMES}48").count() == 1
    for button in page.get_by_role("button").all():
        assert button.get_attribute("aria-label")


def test_full_screen_and_back(page, pair):
    drag(page, (0.5, 0.5), (0.3, 0.5))
    press(page, "f")
    assert page.get_by_role("dialog", name="Compare").count() == 1
    assert stage(page).bounding_box()["width"] > 700
    assert column(page, 0.2) == RED
    assert column(page, 0.4) == BLUE
    page.keyboard.press("Escape")
    page.wait_for_function("place.contains(view.root)")
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("button", name="Full screen").click()
    page.get_by_role("button", name="Full screen").click()
    assert page.evaluate("place.contains(view.root)")


def test_chinese(open_page, flat):
    page = open_page("light", "zh")
    page.evaluate(OPEN, [[flat("red.png", RED)], [flat("blue.png", BLUE)]])
    assert f"放大前 64{TIMES}48" in stage(page).inner_text()
    assert page.get_by_role("slider", name="前后对比的分隔线").count() == 1


# -- leaks ---------------------------------------------------------------------------------------


def test_a_view_that_was_disposed_of_leaves_nothing(page, show, flat):
    addresses = [[flat("red.png", RED)], [flat("blue.png", BLUE)]]
    show(*addresses)
    gone = page.evaluate(
        """async ([a, b]) => {
          const { CompareView } = await import('/web/js/compare_view.js')
          const before = document.querySelectorAll('*').length
          const weak = []
          for (let n = 0; n < 20; n++) {
            const other = new CompareView()
            place.append(other.root)
            await other.show(a, b)
            if (n % 2) other.toggleFullScreen()
            other.dispose()
            other.root.remove()
            weak.push(new WeakRef(other))
          }
          window.weak = weak
          return document.querySelectorAll('*').length - before
        }""",
        addresses,
    )
    assert gone == 0
    session = page.context.new_cdp_session(page)
    page.wait_for_timeout(300)
    session.send("HeapProfiler.collectGarbage")
    assert page.evaluate("weak.filter((each) => each.deref()).length") <= 1
