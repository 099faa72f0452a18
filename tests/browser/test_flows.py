"""The app as people use it, in Chromium: every flow begins at its own server."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from pokerlab.store.files import shipped_path
from pokerlab.store.process import process_record

pytestmark = pytest.mark.browser
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 180_000
"""Milliseconds: loops may have to be compiled, and the machine may be busy."""
expect.set_options(timeout=PATIENCE)
RIVER = ("T of diamonds", "9 of diamonds", "6 of hearts", "Q of clubs", "2 of spades")
TURN = "#/explore?board=Td9d6hQc"
LONG = "#/explore?board=Td9d6hQc&oop=uniform&ip=uniform&target=0.00001"
PRESS = """([names, text]) => {
  const buttons = [...document.querySelectorAll("dialog button")];
  for (const name of names) buttons.find((button) => button.textContent === name).click();
  const field = document.querySelector("dialog textarea");
  if (text) { field.value = text; field.dispatchEvent(new Event("input")); }
}"""
"""Buttons of a dialog, then a range as text."""
PICTURES = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None
"""A folder, if screenshots are wanted: those in docs are made so."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield found
        found.close()


class Server:
    """The command, with nothing but what a user has.

    Args:
        folder: where it is started.
    """

    def __init__(self, folder: Path) -> None:
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pokerlab", "app", "--no-browser", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        assert self.process.stdout
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found
        self.address, self.seconds = found[0], time.monotonic() - begun

    def solver(self) -> psutil.Process:
        """The process that solves: the one that computes now."""
        children = psutil.Process(self.process.pid).children()
        before = {child: sum(child.cpu_times()[:2]) for child in children}
        time.sleep(0.5)
        return max(children, key=lambda child: sum(child.cpu_times()[:2]) - before[child])

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, as a user has one."""
    found = tmp_path_factory.mktemp("app")
    left_out = shutil.ignore_patterns("*.ckpt")
    shutil.copytree(shipped_path("trained") / "leduc", found / "outputs/leduc-first", ignore=left_out)
    return found


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    found = Server(place)
    yield found
    found.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Fails on an error on the page, and on a request to any other host."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    found = context.new_page()
    wrong: list[str] = []
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("request", lambda request: wrong.append(request.url) if foreign(request.url, server) else None)
    found.set_default_timeout(PATIENCE)
    yield found
    context.close()
    assert wrong == []


def foreign(url: str, server: Server) -> bool:
    return not url.startswith((server.address, "data:", "blob:"))


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=PICTURES / f"{name}.png")


def ready_to_solve(page: Page) -> None:
    expect(page.locator(".size")).to_contain_text("public states", timeout=PATIENCE)


def solved(page: Page) -> None:
    expect(page.locator(".results")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".progress strong")).to_have_text("Solved", timeout=PATIENCE)
    expect(page.locator(".results")).not_to_have_class(re.compile("busy"), timeout=PATIENCE)


def test_the_page_is_there_at_once(server: Server, page: Page) -> None:
    page.goto(server.address)
    page.goto("about:blank")
    begun = time.monotonic()
    page.goto(server.address)
    page.locator(".picker").wait_for()
    seconds = time.monotonic() - begun
    print(f"ready after {server.seconds:.2f} s, page load {seconds:.2f} s")
    assert page.title() == "pokerlab"


def test_a_river_from_empty_to_solved_takes_six_clicks(server: Server, page: Page) -> None:
    page.goto(server.address)
    ready_to_solve_after(page)
    for card in RIVER:
        page.get_by_role("button", name=card).click()
    ready_to_solve(page)
    begun = time.monotonic()
    page.locator("#solve").click()
    solved(page)
    print(f"river: {time.monotonic() - begun:.2f} s and {len(RIVER) + 1} clicks")
    picture(page, "app-river")
    page.locator(".step.here .step-option").nth(1).click()
    expect(page.locator(".step.here .step-head")).to_have_text("IP")
    assert "line=bet" in page.url
    page.locator("[data-view=ev]").click()
    expect(page.locator("[data-view=ev]")).to_have_attribute("aria-pressed", "true")
    redraw = float(page.evaluate("document.documentElement.dataset.redraw"))
    print(f"grid redraw: {redraw:.1f} ms")
    page.locator(".filters .chip").first.click()
    expect(page.locator(".filters .chip").first).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().startswith("player,hand,weight,equity,ev,eqr,")


def ready_to_solve_after(page: Page) -> None:
    """The first answer of the desk: it has started."""
    expect(page.locator(".size")).to_contain_text("Choose a board")


def test_nodes_are_switched_quickly(server: Server, page: Page) -> None:
    page.goto(f"{server.address}{TURN}")
    ready_to_solve(page)
    begun = time.monotonic()
    page.locator("#solve").click()
    solved(page)
    print(f"turn: {time.monotonic() - begun:.2f} s")
    took = page.evaluate(
        """async () => {
            const took = [];
            for (let n = 0; n < 10; n += 1) {
                const options = document.querySelectorAll(".step.here .step-option");
                const target = n % 2 ? document.querySelector(".step .step-head.quiet") : options[0];
                const before = location.hash, begun = performance.now();
                target.click();
                const busy = () => document.querySelector(".results").classList.contains("busy");
                while (busy() || location.hash === before)
                    await new Promise((resolve) => setTimeout(resolve, 1));
                took.push(performance.now() - begun);
            }
            return took;
        }"""
    )
    print("switching nodes:", ", ".join(f"{of:.0f}" for of in took), "ms")
    page.goto(page.url.split("&line=")[0] + "&line=check+check")
    rows = page.locator(".runouts tbody tr")
    expect(rows).to_have_count(48, timeout=PATIENCE)
    picture(page, "app-turn")
    rows.first.get_by_role("button").click()
    expect(page.locator(".board-step .card")).to_have_count(5)


def test_two_hundred_quick_clicks(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/explore?board=Td9d6hQc2s")
    ready_to_solve(page)
    page.locator("#solve").click()
    solved(page)
    page.evaluate(
        """async () => {
            for (let n = 0; n < 200; n += 1) {
                const all = [...document.querySelectorAll(".results button:not(#lock):not(#pin)")];
                all[(n * 7919) % all.length].click();
                await new Promise((resolve) => setTimeout(resolve, 5));
            }
        }"""
    )
    expect(page.locator(".results")).not_to_have_class(re.compile("busy"))
    expect(page.locator(".banner")).to_be_hidden()
    assert page.locator(".results .grid .cell").count() >= 169


def test_a_reload_in_the_middle_of_a_solve_and_a_second_tab(server: Server, page: Page) -> None:
    page.goto(f"{server.address}{LONG}")
    ready_to_solve(page)
    page.locator("#solve").click()
    expect(page.locator(".progress")).to_contain_text("iterations", timeout=PATIENCE)
    page.reload()
    expect(page.locator(".progress")).to_contain_text("iterations", timeout=PATIENCE)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".progress")).to_contain_text("iterations", timeout=PATIENCE)
    other.locator("#cancel").click()
    for tab in (other, page):
        expect(tab.locator(".progress")).to_be_hidden(timeout=PATIENCE)


def test_a_killed_solver_is_told_and_solving_again_works(server: Server, page: Page) -> None:
    page.goto(f"{server.address}{LONG}&pot=101")
    ready_to_solve(page)
    page.locator("#solve").click()
    expect(page.locator(".progress")).to_contain_text("iterations", timeout=PATIENCE)
    server.solver().kill()
    expect(page.locator(".banner")).to_contain_text("ended unexpectedly", timeout=PATIENCE)
    page.locator("input[name=target]").fill("5")
    ready_to_solve(page)
    page.locator("#solve").click()
    solved(page)


def test_what_is_locked_stays(server: Server, page: Page, tmp_path: Path) -> None:
    page.goto(
        f"{server.address}#/explore?board=2c2d2hKsQd&oop=KcKd,4s3s&ip=AcAd&stack=100/150&r0=100/100&target=0.1"
    )
    ready_to_solve(page)
    expect(page.locator(".size")).to_contain_text("50 of IP never in play", timeout=PATIENCE)
    page.locator("#solve").click()
    solved(page)
    page.locator(".step.here .step-option", has_text="All-in").click()
    expect(page.locator(".step.here .step-head")).to_have_text("IP", timeout=PATIENCE)
    page.locator("#lock").click()
    page.locator("dialog input[name=fold]").fill("0")
    page.locator("dialog input[name=call]").fill("100")
    page.locator("#lock-solve").click()
    expect(page.locator("#lock")).to_have_text("Locked: change…", timeout=PATIENCE)
    page.locator(".step .step-head.quiet").first.click()
    expect(page.locator(".both tbody tr").first).to_contain_text(re.compile(r"99\.\d|100\.\d"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    download.value.save_as(tmp_path / "locked.spot")
    page.goto(f"{server.address}#/explore")
    page.reload()
    page.set_input_files("#file", tmp_path / "locked.spot")
    expect(page.locator(".locks")).to_contain_text("all-in: all hands", timeout=PATIENCE)


def test_saved_opened_and_refused(server: Server, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server.address}#/explore?board=Td9d6hQc2s&pot=150")
    ready_to_solve(page)
    page.locator("#solve").click()
    solved(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    saved = tmp_path / "solved.spot"
    download.value.save_as(saved)
    page.goto(f"{server.address}#/explore")
    page.reload()
    page.set_input_files("#file", saved)
    solved(page)
    assert page.locator("input[name=pot]").input_value() == "150"
    broken = tmp_path / "broken.spot"
    broken.write_bytes(saved.read_bytes()[:1000])
    page.set_input_files("#file", broken)
    expect(page.locator(".banner")).to_have_text("this file is not a spot")


def test_a_run_is_watched_while_it_goes_on(server: Server, page: Page, place: Path) -> None:
    run = place / "outputs/going-on"
    shutil.copytree(place / "outputs/leduc-first", run)
    lines = (run / "training_metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "training_metrics.jsonl").write_text("".join(lines[:40]))
    (run / "job.json").write_text(json.dumps({"state": "running"} | process_record(os.getpid())))
    page.goto(f"{server.address}#/runs")
    expect(page.get_by_role("region", name="Agents of the package")).to_contain_text("hunl-laptop")
    row = page.get_by_role("row").filter(has_text="going-on")
    expect(row).to_contain_text("running")
    row.get_by_role("link").click()
    chart = page.get_by_role("region", name="Exploitability")
    expect(chart).to_contain_text("DREAM: 0.06")
    chart.locator("svg[tabindex]").focus()
    page.keyboard.press("End")
    expect(chart.locator(".told")).to_contain_text("iteration 40: ")
    picture(page, "app-runs")
    chart.get_by_text("As a table").click()
    expect(chart.locator("tbody tr").first).to_contain_text("40")
    with (run / "training_metrics.jsonl").open("a") as metrics:  # the last one is still being written
        metrics.write("".join(lines[40:]) + '{"iterat')
    expect(chart.locator("tbody tr").first).to_contain_text("60")
    expect(chart.locator(".told")).to_contain_text("iteration 40: ")  # where the reader was
    page.get_by_role("button", name="Metrics").click()
    assert "view=metrics" in page.url
    expect(page.get_by_role("region", name="Metrics").locator("tbody tr").first).to_contain_text("59")
    page.reload()
    expect(page.get_by_role("region", name="Metrics").locator("tbody tr").first).to_contain_text("59")
    page.get_by_role("button", name="Log").click()
    (run / "training.log").write_text("a line with <b>markup</b>\n")
    expect(page.locator(".log")).to_have_text("a line with <b>markup</b>")
    with (run / "training_metrics.jsonl").open("a") as metrics:
        metrics.write("\n")
    expect(page.locator(".banner:visible")).to_contain_text("line 61: ")
    shutil.rmtree(run)
    expect(page.locator(".banner").first).to_contain_text("no run 'going-on' here (any more)")
    page.get_by_role("link", name="All runs").click()
    expect(page.get_by_role("row").filter(has_text="leduc-first")).to_contain_text("finished")
    expect(page.locator(".banner")).to_be_hidden()


def test_what_cannot_be_started_is_told_as_the_command_does(server: Server, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server.address}#/runs")
    page.get_by_role("combobox", name="Experiment").select_option("leduc")
    page.get_by_role("textbox", name="Settings").fill("iteratons=20")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").filter(has_text="iteratons")).to_contain_text(
        "unknown key 'iteratons': did you mean iterations"
    )
    sizes: Any = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert sizes[0] <= sizes[1]


def test_a_league_is_grown_and_drawn(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/runs")
    page.get_by_role("combobox", name="Experiment").select_option("phase2_leduc")
    page.get_by_role("textbox", name="Settings").fill("rounds=6 run_name=population")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("link", name="population").first.click()
    expect(page.locator(".glance")).to_contain_text("6, ")
    page.get_by_role("button", name="Payoffs").click()
    matrix = page.get_by_role("region", name="Payoffs")
    expect(matrix.locator("rect.pay")).to_have_count(36)
    matrix.locator("svg[tabindex]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(matrix.locator(".told")).to_have_text(re.compile(r"uniform against r0001: -[\d.]+"))
    picture(page, "app-league")
    page.set_viewport_size({"width": 800, "height": 700})  # it is drawn anew, as after each round
    expect(matrix.locator("svg[tabindex]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(matrix.locator(".told")).to_have_text(re.compile("r0001 against r0001"))
    page.get_by_role("button", name="Lineage").click()
    lineage = page.get_by_role("region", name="Lineage")
    expect(lineage.locator("circle.member")).to_have_count(6)
    lineage.locator("svg[tabindex]").focus()
    page.keyboard.press("ArrowRight")
    page.set_viewport_size({"width": 700, "height": 700})
    page.keyboard.press("ArrowRight")
    expect(lineage.locator(".told")).to_have_text(re.compile(r"r0001, round 1"))
    expect(lineage.locator("circle.here")).to_have_count(1)


def test_two_hundred_quick_clicks_from_area_to_area(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/runs?run=leduc-first")
    page.evaluate(
        """async () => {
            for (let n = 0; n < 200; n += 1) {
                const all = [...document.querySelectorAll("#areas a, .tabs button[data-view], .listing a")];
                all[(n * 7919) % all.length].click();
                await new Promise((resolve) => setTimeout(resolve, 5));
            }
        }"""
    )
    page.get_by_role("link", name="Play").click()
    page.get_by_role("link", name="Runs and leagues").click()
    expect(page.get_by_role("region", name="Agents of the package")).to_contain_text("leduc")
    expect(page.locator("#areas a[aria-current]")).to_have_text("Runs and leagues")
    expect(page.locator(".banner")).to_be_hidden()


def test_markup_is_text(server: Server, page: Page) -> None:
    markup = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    page.goto(
        f"{server.address}#/explore?board=Td9d6h&oop={markup}&line={markup}&pin={markup}&locks={markup}"
    )
    expect(page.locator(".size")).to_contain_text(re.compile("<img ?src=x"), timeout=PATIENCE)
    assert page.locator("img").count() == 0


def test_the_keyboard_is_enough(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/explore?board=Td9d6hQc2s")
    ready_to_solve(page)
    page.locator("#solve").press("Enter")
    solved(page)
    first = page.locator(".results .grid .cell").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".results .grid .cell[aria-selected=true]")).to_have_count(1)
    page.locator("body").click(position={"x": 1, "y": 1})
    page.keyboard.press("1")
    expect(page.locator(".step.here .step-head")).to_have_text("IP")
    page.keyboard.press("Backspace")
    expect(page.locator(".step.here .step-head")).to_have_text("OOP")


def test_a_range_is_painted(server: Server, page: Page) -> None:
    """And used at once, whether or not a slow server has answered what has been painted."""
    page.goto(f"{server.address}#/explore?board=Td9d6hQc2s")
    ready_to_solve(page)
    edit = page.get_by_role("button", name="Edit the range of Out of position")
    edit.click()
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator("dialog .cell").first.click()
    expect(page.locator("dialog textarea")).to_have_value("AA")
    page.get_by_role("button", name="Cancel").click()

    def answer_late(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/explore/range", answer_late)
    edit.click()
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator("dialog .cell").first.click()
    page.get_by_role("button", name="Use this range").click()
    expect(page.locator("input[name=oop]")).to_have_value("AA")
    expect(page.locator(".size")).to_contain_text("6 against")

    def press(*buttons: str, text: str | None = None) -> None:
        """Before anything is answered."""
        page.evaluate(PRESS, [buttons, text])

    edit.click()
    expect(page.locator("dialog")).to_contain_text("6 of 1,326")
    press("Clear", text="KK,QQ")
    expect(page.locator("dialog")).to_contain_text("12 of 1,326")
    expect(page.locator("dialog textarea")).to_have_value("KK,QQ")
    with page.expect_response("**/api/explore/range"):
        press("Clear", "Use this range", "Cancel")
    edit.click()
    expect(page.locator("dialog")).to_contain_text("6 of 1,326")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (820, True)])
def test_narrow_and_dark(server: Server, page: Page, width: int, dark: bool) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.goto(f"{server.address}#/explore?board=Td9d6hQc2s")
    ready_to_solve(page)
    page.locator("#solve").click()
    solved(page)
    sizes: Any = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert sizes[0] <= sizes[1]
    picture(page, f"app-{'dark' if dark else 'phone'}")


def test_twenty_hands_of_leduc_tell_what_was_lost(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/play")
    page.get_by_role("combobox", name="Opponent").select_option("run:leduc")
    page.get_by_role("combobox", name="How it plays").select_option("policy_net")
    page.get_by_role("button", name="Deal").click()
    for number in range(20):
        expect(page.get_by_role("heading", name=f"Hand {number + 1}", exact=True)).to_be_visible()
        following = page.get_by_role("button", name="Next hand")
        moves = page.get_by_role("group", name="Your move").get_by_role("button")
        while True:
            following.or_(moves.first).first.wait_for()
            if following.is_visible():
                break
            before = page.locator(".moves li").count()
            moves.filter(has_text=re.compile("check|call")).click()
            expect(page.locator(".moves li")).not_to_have_count(before)
        page.get_by_text("your decisions lost").wait_for()
        if number < 19:
            page.keyboard.press("Enter")
    session = page.get_by_role("region", name="The session")
    expect(session).to_contain_text("20")
    expect(session).to_contain_text("lost by decisions, in all")
    expect(page.get_by_text("A pair with the board wins")).to_be_visible()
    picture(page, "app-play")
    page.reload()
    expect(page.get_by_role("heading", name="Hand 20", exact=True)).to_be_visible()


HAND = """PokerStars Hand #12: Hold'em No Limit ($1/$2 USD) - 2020/02/02 10:11:12 ET
Table 'Aludra' 2-max Seat #1 is the button
Seat 1: Ann ($200 in chips)
Seat 2: <img src=x> ($150 in chips)
Ann: posts small blind $1
<img src=x>: posts big blind $2
*** HOLE CARDS ***
Dealt to Ann [Ah Kd]
Ann: raises $4 to $6
<img src=x>: calls $4
*** FLOP *** [Td 9d 6h]
<img src=x>: checks
Ann: bets $5
<img src=x>: calls $5
*** TURN *** [Td 9d 6h] [2c]
<img src=x>: checks
Ann: checks
*** RIVER *** [Td 9d 6h 2c] [As]
<img src=x>: bets $13
Ann: calls $13
*** SHOW DOWN ***
<img src=x>: shows [Tc Th] (three of a kind, Tens)
Ann: mucks hand
<img src=x> collected $48 from pot
"""


def test_a_recorded_hand_is_walked(server: Server, page: Page, tmp_path: Path) -> None:
    path = tmp_path / "hands.txt"
    path.write_text(HAND.replace("Ann: bets $5", "Ann: sings"))
    page.goto(f"{server.address}#/explore")
    ready_to_solve_after(page)
    page.set_input_files("#file", path)
    expect(page.locator(".banner")).to_contain_text("hands.txt: hand 1 cannot be read", timeout=PATIENCE)
    path.write_text(HAND * 2)
    page.set_input_files("#file", path)
    expect(page.get_by_role("list", name="Hands").get_by_role("listitem")).to_have_count(2, timeout=PATIENCE)
    picture(page, "app-hands")
    row = page.get_by_role("group", name="From the river")
    row.get_by_role("button", name="call").click()
    expect(page.locator(".about")).to_contain_text("<img src=x> (OOP) held TcTh", timeout=PATIENCE)
    ready_to_solve(page)
    assert page.locator("input[name=r0]").input_value() == "50,59.0909,100/100"
    page.locator("#solve").click()
    solved(page)
    expect(page.locator(".step.here .step-head")).to_have_text("IP", timeout=PATIENCE)
    expect(page.locator(".step-option", has_text="Bet 13").locator(".played")).to_be_visible()
    expect(page.locator(".step.here .step-option", has_text="Call").locator(".played")).to_be_visible()
    picture(page, "app-walked")
    page.reload()
    solved(page)
    expect(page.locator(".about")).to_contain_text("Hand 12", timeout=PATIENCE)
    large = tmp_path / "large.phhs"
    with large.open("wb") as file:
        file.truncate(2**30)
    page.set_input_files("#file", large)
    expect(page.locator(".banner")).to_contain_text("expected hands of at most 64 MB", timeout=PATIENCE)


def test_a_report_of_many_flops_is_sorted_cancelled_and_survives_a_reload(server: Server, page: Page) -> None:
    page.goto(f"{server.address}#/explore?leaf=hunl-laptop&iterations=20&stack=900")
    ready_to_solve_after(page)
    page.locator("#report").click()
    page.locator("input[name=lines]").fill("start; raise")
    page.locator("#begin-report").click()
    expect(page.locator("dialog .error")).to_contain_text("line 'raise'", timeout=PATIENCE)
    page.locator("input[name=lines]").fill("start; check")
    page.locator("#begin-report").click()
    rows = page.locator(".report tbody tr")
    expect(rows.nth(2)).to_be_visible(timeout=PATIENCE)
    page.reload()
    expect(rows.nth(3)).to_be_visible(timeout=PATIENCE)
    page.locator("#cancel-report").click()
    expect(page.locator(".report")).to_contain_text("Cancelled", timeout=PATIENCE)
    page.get_by_role("button", name="EV OOP").click()
    picture(page, "app-report")
    shown = rows.locator("td:nth-last-child(4)").all_inner_texts()[1:]
    values = [float(text.replace(",", "")) for text in shown]
    assert len(values) >= 2
    assert values == sorted(values, reverse=True)
    with page.expect_download() as download:
        page.locator(".report").get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().splitlines()[1].startswith("board,weight,line,")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#cancel-report")).to_be_visible(timeout=PATIENCE)
    page.locator("#cancel-report").click()
    expect(page.locator(".report")).to_contain_text("Cancelled", timeout=PATIENCE)
    rows.nth(1).get_by_role("button").click()
    solved(page)
    page.locator(".step.here .step-option", has_text="Check").click()
    expect(page.locator(".step.here .step-head")).to_have_text("IP", timeout=PATIENCE)
    page.locator(".step.here .step-option", has_text="Check").click()
    expect(page.locator(".step.here")).to_contain_text("A network values what comes", timeout=PATIENCE)
    picture(page, "app-valued")
    page.get_by_role("button", name="Close the report").click()
    expect(page.locator(".report")).to_be_hidden()
