"""What nodes have shown is there again where nothing runs: cached prompts, workflows reopened."""

import re

import pytest

from . import comfyui

TIMES = "\N{MULTIPLICATION SIGN}"

SHOWN = """([node, selector, text]) => app.graph.getNodeById(node)?.widgets
  .find((widget) => widget.element)?.element.querySelector(selector)?.innerText.includes(text)"""

REPORT = ["3", ".swin2sr-report", "compact-x4"]
COMPARED = ["4", ".swin2sr-label", f"96{TIMES}72"]


@pytest.fixture
def open_flow(open_comfyui):
    def open_():
        page = open_comfyui()
        comfyui.load(page, comfyui.flow())
        page.wait_for_selector(".swin2sr-plan", state="attached")
        return page

    return open_


def run(page):
    page.evaluate("() => { app.queuePrompt(0, 1) }")
    for each in (REPORT, COMPARED):
        page.wait_for_function(SHOWN, arg=each, timeout=60_000)


def test_a_prompt_that_the_cache_answers(open_flow):
    run(open_flow())
    again = open_flow()
    again.evaluate(
        """async () => {
          const { api } = await import('/scripts/api.js')
          window.told = 0
          api.addEventListener('swin2sr.run', () => { told += 1 })
        }"""
    )
    run(again)
    assert again.evaluate("told") == 0, "it ran: this has tested nothing"
    leave_and_return(again)


def test_a_prompt_that_is_done_before_its_number_is_known(open_flow):
    run(open_flow())
    again = open_flow()
    held = []
    again.route(re.compile("/prompt$"), lambda route: held.append((route, route.fetch())))
    run(again)
    leave_and_return(again)
    [(route, answer)] = held
    route.fulfill(response=answer)


def test_a_workflow_that_is_opened_again(open_flow):
    page = open_flow()
    page.evaluate("app.graph.getNodeById(3).widgets.find((w) => w.name === 'scale').value = 3")
    run(page)
    leave_and_return(page)


def leave_and_return(page):
    """Another tab and back: the nodes are new ones, and show what was shown."""
    page.evaluate("() => { window.first = app.graph.getNodeById(3) }")
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function("app.graph.nodes.length === 0")
    page.evaluate("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait_for_function("app.graph.getNodeById(3) && app.graph.getNodeById(3) !== first")
    for each in (REPORT, COMPARED):
        page.wait_for_function(SHOWN, arg=each)
