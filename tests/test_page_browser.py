"""The page in a browser: it loads without a word on the console, and each control does what it says.

Needs selenium, chromium and chromedriver (the extra `browser`; on Debian `apt-get install chromium
chromium-driver`); the audit needs axe-core besides: `npm install axe-core`, or the path of axe.min.js in
the variable AXE_CORE.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from draw_laws import STRANGERS

import minigrad as mg
from minigrad.cells import CELLS
from minigrad.draw import Picture
from minigrad.draw.page import Highlight, framed
from minigrad.draw.theme import THEMES

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: pip install -e '.[browser]'"
)
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.common.options import ArgOptions  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
AXE = [Path(os.environ.get("AXE_CORE", "missing")), Path("node_modules/axe-core/axe.min.js")]
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed")
ALL = CELLS | {c.name: c for c in STRANGERS.values()}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options: ArgOptions = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--window-size=1400,900", f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield found
    found.quit()


def prefer(browser: Any, what: str, value: str) -> None:
    """Say what the reader prefers; until the end of the test."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": what, "value": value}]})


@cache
def drawn(name: str, T: int) -> Picture:
    return mg.draw(ALL[name], T, values=True)


class Page:
    """An open page, and what a reader sees of it."""

    def __init__(self, driver: Any, text: str, folder: Path) -> None:
        self.driver = driver
        file = folder / "page.html"
        file.write_text(text, encoding="utf-8")
        driver.get(file.as_uri())
        self.data = json.loads(self.run("return document.getElementById('data')?.textContent ?? 'null'"))

    def run(self, code: str, *args: Any) -> Any:
        return self.driver.execute_script(code, *args)

    def click(self, name: str) -> None:
        self.driver.find_element("id", name).click()

    def box(self, key: str) -> Any:
        return self.driver.find_element("css selector", f"[id='{key}']")

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def stage(self) -> None:
        """Move the focus to the picture."""
        self.run("document.getElementById('stage').focus()")

    @property
    def view(self) -> list[float]:
        return [
            float(v)
            for v in self.run("return document.querySelector('#stage svg').getAttribute('viewBox')").split()
        ]

    def settled(self) -> list[float]:
        """The view when it no longer moves."""
        before, now = None, self.view
        while before != now:
            time.sleep(0.06)
            before, now = now, self.view
        return now

    @property
    def lit(self) -> set[str] | None:
        """The keys that are lit; None if nothing is dimmed."""
        if not self.run("return document.querySelector('#stage svg').classList.contains('some')"):
            return None
        return set(self.run("return [...document.querySelectorAll('#stage .lit')].map((e) => e.id)"))

    @property
    def said(self) -> str:
        return self.run("return document.getElementById('said').innerText")

    @property
    def heading(self) -> str:
        return self.run("return document.querySelector('#said h2').textContent")

    @property
    def aloud(self) -> str:
        return self.run("return document.getElementById('live').textContent")

    def key_of(self, name: str) -> str:
        return next(k for k, n in self.data["nodes"].items() if n["name"] == name)

    def cone(self, key: str) -> set[str]:
        """What a box comes from and what comes from it: boxes, dots and lines."""
        found = {key}
        for end, other in (("sink", "source"), ("source", "sink")):
            stack, seen = [key], {key}
            while stack:
                at = stack.pop()
                for e in self.data["lines"]:
                    if e[end] == at and "grad" not in e["kind"].split():
                        found |= {e["key"], e[other]}
                        if e[other] not in seen:
                            seen.add(e[other])
                            stack.append(e[other])
        return found


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    def open_(name: str = "lstm", T: int = 3, paths: tuple[Highlight, ...] = ()) -> Page:
        return Page(browser, drawn(name, T).html(paths), tmp_path)

    browser.get_log("browser")
    yield open_
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def without_bars(keys: set[str] | None) -> set[str]:
    assert keys is not None
    return {k for k in keys if not k.startswith("bar-")}


@pytest.mark.parametrize(
    "name",
    ["gru", *(pytest.param(n, marks=pytest.mark.slow) for n in ("rnn", "layer_norm_lstm", "multiplicative"))],
)
def test_a_page_loads_without_a_word_and_every_box_can_be_focused(opened, name: str):
    page = opened(name, 2)
    roles = page.run(
        "return [...document.querySelectorAll('#stage .box[role=img]')]"
        ".map((e) => [e.id, e.getAttribute('aria-label'), e.tabIndex])"
    )
    assert {r[0] for r in roles} == set(page.data["nodes"])
    assert all(label for _, label, _ in roles)
    assert sorted(tab for *_, tab in roles)[-2:] == [-1, 0]  # one of them is reached with Tab
    assert page.lit is None


@pytest.mark.slow
def test_buttons_and_keys_zoom_and_move(opened):
    page = opened("lstm", 20)
    start = page.settled()
    page.click("zoom-in")
    nearer = page.settled()
    assert nearer[2] == pytest.approx(start[2] / 1.3, rel=1e-3)
    page.click("zoom-out")
    assert page.settled()[2] == pytest.approx(start[2], rel=1e-3)
    page.click("zoom-all")
    whole = page.settled()
    assert whole[2] > 5 * start[2]
    page.stage()
    page.keys("+", "+", "+")
    page.settled()
    page.keys("+")
    near = page.settled()
    assert near[2] < whole[2] / 1.9
    page.keys(Keys.ARROW_RIGHT)
    moved = page.settled()
    assert moved[0] > near[0]
    page.keys(Keys.ARROW_LEFT)
    assert page.settled()[0] == pytest.approx(near[0], abs=1)
    page.keys("-")
    assert page.settled()[2] > near[2]
    page.keys("0")
    assert page.settled() == pytest.approx(whole)


@pytest.mark.slow
def test_the_wheel_zooms_where_the_pointer_is_and_dragging_moves(opened):
    page = opened("lstm", 20)
    start, stage = page.settled(), page.driver.find_element("id", "stage")
    ActionChains(page.driver).scroll_from_origin(ScrollOrigin.from_element(stage), 0, -120).perform()
    near = page.settled()
    assert near[2] < start[2]
    assert near[0] + near[2] / 2 == pytest.approx(start[0] + start[2] / 2, rel=0.02)
    ActionChains(page.driver).move_to_element(stage).click_and_hold().move_by_offset(
        -150, 0
    ).release().perform()
    moved = page.settled()
    assert moved[0] > near[0] + 50
    assert moved[2] == near[2]
    assert page.lit is None  # it was no click


@pytest.mark.slow
def test_a_click_keeps_a_box_and_one_beside_it_lets_it_go(opened):
    page = opened("rnn", 2)
    key = page.key_of("h₁")
    page.box(key).click()
    page.driver.find_element("id", "zoom-all").click()
    assert without_bars(page.lit) == page.cone(key)
    ActionChains(page.driver).move_to_element_with_offset(
        page.driver.find_element("id", "stage"), 0, 120
    ).click().perform()
    assert page.lit is None


@pytest.mark.slow
def test_pointing_at_a_box_lights_its_cone_and_says_what_is_known(opened):
    page = opened()
    page.click("zoom-all")
    page.settled()
    key = page.key_of("F₂")
    ActionChains(page.driver).move_to_element(page.box(key)).perform()
    assert without_bars(page.lit) == page.cone(key)
    node = page.data["nodes"][key]
    facts = ("code", "place", "shape", "norm")
    assert all(node[k] in page.said for k in facts)
    assert all("  ".join(node[k]) in page.said for k in ("values", "gradient"))
    assert all(words in page.said for words in ("Forget gate, step 2", "F₂", "H₁, X₂, W_xf"))
    assert page.run("return document.querySelector('.equation').textContent") == node["equations"][0].replace(
        "_", ""
    )
    assert node["equations"][0] in page.aloud
    ActionChains(page.driver).move_to_element(page.driver.find_element("tag name", "h1")).perform()
    assert page.lit is None
    assert page.heading == "The whole picture"


@pytest.mark.slow
def test_the_keyboard_walks_from_box_to_box_keeps_one_and_lets_it_go(opened):
    page = opened()
    page.stage()
    page.keys(Keys.TAB)
    focused = "return document.activeElement.id"
    assert page.run(focused) in page.data["nodes"]
    page.run("document.getElementById(arguments[0]).focus()", page.key_of("F₂"))
    page.settled()
    page.keys(Keys.ARROW_RIGHT)
    key = page.run(focused)
    assert page.data["nodes"][key]["name"] == "I₂"
    assert without_bars(page.lit) == page.cone(key)
    assert page.run("return document.querySelectorAll('#stage .box[tabindex=\"0\"]').length") == 1
    page.keys(Keys.ENTER, Keys.TAB)
    assert page.run(focused) != key
    assert without_bars(page.lit) == page.cone(key)  # it is kept
    page.keys(Keys.ESCAPE)
    assert page.lit is None


@pytest.mark.slow
def test_the_slider_lights_one_step(opened):
    page = opened()
    page.driver.find_element("id", "step").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.run("return document.getElementById('step-shown').textContent") == "t = 2"
    lit = without_bars(page.lit)
    steps = {n.get("step") for k, n in page.data["nodes"].items() if k in lit and not k.startswith("s")}
    assert steps == {2, None}
    assert {k for k, n in page.data["nodes"].items() if n.get("step") == 2} <= lit
    assert "F₂ = σ(X₂ Wxf + H₁ Whf + bf)" in page.said.replace("\n", "")
    page.stage()
    page.keys("]")
    assert page.run("return document.getElementById('step').getAttribute('aria-valuetext')") == "step 3"
    page.keys("[", "[", "[")
    assert page.lit is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("lstm", ["Input gate", "Forget gate", "Output gate", "Candidate", "Cell state", "Hidden state"]),
        ("gru", ["Update gate", "Reset gate", "Candidate", "New state"]),
        ("multiplicative", None),
    ],
)
def test_the_walk_goes_through_the_equations_step_by_step(opened, name: str, titles: list[str] | None):
    page, seen = opened(name, 2), []
    frames = page.data["walks"][0]
    for t in (1, 2):
        for i, frame in enumerate(frames):
            page.click("walk")
            seen.append(page.heading)
            assert f"Step {t}, equation {i + 1} of {len(frames)}" in page.said
            assert {f"t{t}-{k}" for k in frame["keys"]} <= (page.lit or set())
            head = page.data["nodes"][f"t{t}-{frame['keys'][0]}"]
            assert head["equations"][-1].replace("_", "") in page.said.replace("\n", "")
    assert seen == [f["title"] for f in frames] * 2
    assert titles is None or seen == titles * 2
    page.click("walk-back")
    assert page.heading == seen[-2]
    page.stage()
    page.keys("n", "n")
    assert page.lit is None
    assert page.heading == "The whole picture"


@pytest.mark.slow
def test_the_backward_pass_plays_pauses_and_goes_on(opened):
    page = opened("lstm", 2)
    page.run("document.getElementById('play').click()")
    assert page.heading == "The loss"
    assert page.lit >= {"loss", "s0-2"}
    deadline = time.time() + 5
    while page.heading != "Back through step 2" and time.time() < deadline:
        time.sleep(0.05)
    assert {"grad-s0-2", "grad-s1-2", "s0-1", "s1-1"} <= page.lit
    assert not {"grad-s0-1", "s0-0"} & page.lit
    assert all(line in page.said for line in page.data["back"][1]["lines"])
    assert (
        page.run("return getComputedStyle(document.querySelector('#grad-s0-2 path')).animationName") == "draw"
    )
    page.click("play")
    assert page.run("return document.getElementById('play').getAttribute('aria-pressed')") == "false"
    time.sleep(1.5)
    assert page.heading == "Back through step 2"
    page.stage()
    page.keys("b")
    assert page.heading == "Back through step 1"
    assert (
        page.run("return document.getElementById('play').getAttribute('aria-pressed')") == "false"
    )  # the end


@pytest.mark.slow
def test_who_prefers_less_motion_has_none(opened, browser):
    prefer(browser, "prefers-reduced-motion", "reduce")
    page = opened("lstm", 20)
    before = page.view
    page.click("zoom-in")
    assert page.view[2] == pytest.approx(before[2] / 1.3, rel=1e-3)  # at once
    for _ in range(3):  # play, pause, go on
        page.run("document.getElementById('play').click()")
    style = "return getComputedStyle(document.querySelector('#stage .now path')).animationName"
    assert page.run(style) == "none"
    assert (
        page.run("return getComputedStyle(document.querySelector('#stage .box')).transitionDuration") == "0s"
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_readers_preference(opened, browser, scheme: str):
    prefer(browser, "prefers-color-scheme", scheme)
    page = opened("rnn", 2)
    body = page.run("return getComputedStyle(document.body).backgroundColor")
    state = page.run("return getComputedStyle(document.querySelector('.box.state :first-child')).fill")
    assert [body, state] == [rgb(THEMES[scheme]["paper"]), rgb(THEMES[scheme]["state"])]


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_a_path_is_lit_by_a_click(opened):
    path = Highlight("through both steps", ("s0-0", "s0-1", "s0-2", "t1-s0-j0"), "0.125")
    page = opened("rnn", 2, (path,))
    button = page.driver.find_element("css selector", "#paths button")
    assert button.text.split("\n") == [path.name, path.value] or button.text == f"{path.name} {path.value}"
    button.click()
    assert page.lit == set(path.keys)
    assert button.get_attribute("aria-pressed") == "true"
    assert path.value in page.said
    page.keys(Keys.ESCAPE)
    assert page.lit is None
    assert button.get_attribute("aria-pressed") == "false"


def test_the_keys_are_shown_on_request(opened):
    page = opened("rnn", 2)
    assert not page.driver.find_element("id", "keys").is_displayed()
    page.stage()
    page.keys("?")
    assert page.driver.find_element("id", "keys").is_displayed()
    assert page.run("return document.getElementById('help').getAttribute('aria-expanded')") == "true"


@pytest.mark.slow
def test_a_page_of_two_cells_has_no_walk_and_lights_a_step_of_both(browser, tmp_path: Path):
    browser.get_log("browser")
    text = mg.draw([CELLS["rnn"], CELLS["gru"]], 2, values=True).html()
    page = Page(browser, text, tmp_path)
    assert not page.driver.find_element("id", "walk").is_displayed()
    page.stage()
    page.keys("n", "]", "]")
    assert page.heading == "Step 2"
    assert {"r1-t2-x0", "r2-t2-x0"} <= (page.lit or set())
    assert not {"r1-t1-x0", "r2-t1-x0"} & (page.lit or set())
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_names_are_text_in_the_browser_too(browser, tmp_path: Path):
    evil = "</script><b onmouseover=alert(1)>\"'\\ <!-- &amp; "
    picture = mg.draw(CELLS["rnn"], 2, values=True, title=evil)
    browser.get_log("browser")
    page = Page(browser, picture.html([Highlight(evil, ("s0-0",), evil)]), tmp_path)
    page.driver.find_element("css selector", "#paths button").click()
    assert page.heading == evil
    assert page.run("return document.querySelectorAll('b, [onmouseover]').length") == 0
    assert page.run("return document.querySelector('h1').textContent") == evil
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_without_scripts_the_picture_and_its_table_are_there(opened, browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = opened("lstm", 2)
        assert page.driver.find_element("css selector", "#stage svg").is_displayed()
        assert not page.driver.find_element("id", "controls").is_displayed()
        page.driver.find_element("tag name", "summary").click()
        assert "F₂ = σ(X₂ W_xf + H₁ W_hf + b_f)" in page.driver.find_element("tag name", "table").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.slow
def test_a_page_works_in_a_notebooks_frame(browser, tmp_path: Path):
    picture = drawn("rnn", 2)
    browser.get_log("browser")
    page = Page(browser, f"<!doctype html><title>notebook</title>{framed(picture.html(), 'rnn')}", tmp_path)
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    page.click("walk")
    assert page.heading == "New state"
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_finds_no_violation(opened, browser, scheme: str):
    script = next((p for p in AXE if p.is_file()), None)
    if script is None:
        pytest.skip("axe-core is not there: npm install axe-core, or set AXE_CORE to the path of axe.min.js")
    prefer(browser, "prefers-color-scheme", scheme)
    page = opened("lstm", 3, (Highlight("one", ("s0-0",), "1"),))
    page.run(script.read_text(encoding="utf-8"))
    audit = (
        "const done = arguments[0]; axe.run().then((r) => done("
        "r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))])))"
    )
    assert browser.execute_async_script(audit) == []
    for clicked in ("#help", "summary", "#walk", "#play", "#paths button"):
        page.run("document.querySelector(arguments[0]).click()", clicked)
        assert browser.execute_async_script(audit) == []
