"""A listener in a real, headless Chromium: through the whole study, and what was saved is scored."""

import json
import time

import pytest

from audex_jax.cli import main
from audex_jax.study.key import read_key

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of selenium's own sockets
]
ENTER, TAB, RIGHT = "\ue007", "\ue004", "\ue014"
QUESTIONS = 6


def begin(screen, page, listener: int = 1):
    screen.open(page, f"#listener={listener}")
    screen.js("localStorage.clear()")
    screen.click("#begin button")
    return screen


def trial(screen, number: int) -> None:
    screen.wait(f"document.getElementById('trial').dataset.ready === '{number}'")


def listen(screen, track: int) -> None:
    """By the mouse, all of it."""
    if track:
        screen.click(f"input[name=track][value='{track}'] + span")
    else:
        screen.click("#play")
    screen.wait("player.playing")
    screen.wait("!player.playing", 5)


def answer(screen, choice: str, sure: int | None = None) -> None:
    """Choose by what stands on the page."""
    spans = screen.browser.find_elements("css selector", "#choices span")
    next(span for span in spans if span.text.strip() == choice.strip()).click()
    if sure is not None:
        screen.click(f"input[name=sure][value='{sure}'] + span")
    screen.click("#answer button")


def through(screen, page, listener: int, name_of, prefers) -> None:
    """Everything that a listener does; `name_of(sound)` and `prefers(first, second)` decide the answers."""
    begin(screen, page, listener)
    for number in range(QUESTIONS):
        if number == QUESTIONS // 2:
            screen.click("#go-on")
        trial(screen, number)
        sounds = screen.js(f"state.questions[{number}].sounds")
        for track in range(len(sounds)):
            listen(screen, track)
        if len(sounds) == 1:
            answer(screen, name_of(sounds[0]), sure=4)
        else:
            answer(screen, prefers(*sounds[:2]))
    screen.wait("!document.getElementById('end').hidden")


def save(screen, folder):
    """Press the link and wait for the file."""
    screen.browser.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    screen.click("#save")
    end = time.monotonic() + 10
    while not (found := list(folder.glob("*.csv"))):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    return found[0]


def test_a_whole_study_is_played_saved_and_scored(screen, make_study, tmp_path, capsys):
    page = make_study().page
    key = read_key(tmp_path / "study")

    def method(sound: str) -> str:
        return key["sounds"][sound]["method"]

    def name_of(sound: str) -> str:
        return key["clips"][key["sounds"][sound]["clip"]]["target"] if method(sound) == "signed" else "Cannot tell"

    def prefers(first: str, second: str) -> str:
        return {method(first): "The first", method(second): "The second"}.get("signed", "No difference")

    files = []
    for listener in (1, 2):
        through(screen, page, listener, name_of, prefers)
        (tmp_path / str(listener)).mkdir()
        files.append(save(screen, tmp_path / str(listener)))
        assert screen.requested() == [page.as_uri()]
        assert screen.complaints() == []
    assert files[0].name == f"study-{key['study']}-listener-01.csv"
    assert screen.js("document.getElementById('answers-text').value.replaceAll('\\n', '\\r\\n')").encode() in (
        files[1].read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    )
    figures = tmp_path / "figures.json"
    assert main(["study-score", *map(str, files), "--study", str(tmp_path / "study"), "--out", str(figures)]) == 0
    record = json.loads(figures.read_text())
    assert (record["listeners"], record["named"], record["compared"], record["unfinished"]) == (2, 6, 6, [])
    signed, *others = record["methods"]
    assert signed["accuracy"][0] == signed["preferred"][0] == 1
    assert [other["accuracy"][0] for other in others] == [0, 0]
    assert signed["sure"][0] == 4


def test_closing_the_page_loses_nothing(screen, make_study):
    page = make_study().page
    begin(screen, page, 3)
    trial(screen, 0)
    listen(screen, 0)
    answer(screen, "yes", sure=2)
    trial(screen, 1)
    screen.open(page, "#listener=3")
    screen.click("#begin button")
    trial(screen, 1)
    assert screen.text("#summary") == "2 of 6"
    screen.open(page, "#listener=4")  # another listener begins at the beginning
    screen.click("#begin button")
    trial(screen, 0)


def test_who_stops_can_save_and_go_on(screen, make_study, tmp_path):
    begin(screen, make_study().page)
    trial(screen, 0)
    listen(screen, 0)
    answer(screen, "yes", sure=2)
    trial(screen, 1)
    screen.click("#stop")
    assert "1 of 6 questions are answered" in screen.text("#end-words")
    assert len(save(screen, tmp_path).read_text().splitlines()) == 2
    screen.click("#resume")
    trial(screen, 1)


def test_it_can_be_done_by_keyboard_alone(screen, make_study):
    screen.open(make_study().page)
    screen.js("localStorage.clear()")
    screen.js("document.getElementById('listener').focus()")
    screen.type(ENTER)
    assert "from 1 to 6" in screen.text("#listener-fault")
    screen.type("2", ENTER)
    trial(screen, 0)
    screen.type(" ")
    screen.wait("player.playing")
    screen.wait("!player.playing", 5)
    screen.type(TAB)  # the button Play
    screen.type(TAB)  # the first answer
    screen.type(" ", TAB)
    screen.type(" ", RIGHT)  # sure: 2
    screen.type(ENTER)
    trial(screen, 1)
    assert screen.js("state.answers[0].answer") == "no"
    assert screen.js("state.answers[0].sure") == "2"
    assert screen.js("document.activeElement.id") == "question"


def test_nothing_can_be_skipped(screen, make_study):
    begin(screen, make_study().page)
    trial(screen, 0)
    for says, act in (
        ("Listen first", lambda: listen(screen, 0)),
        ("Choose an answer", lambda: screen.click("#choices span")),
        ("how sure", lambda: screen.click("input[name=sure] + span")),
    ):
        screen.click("#answer button")
        assert says in screen.text("#fault")
        assert screen.js("state.answers.length") == 0
        act()
    screen.click("#answer button")
    trial(screen, 1)


def test_both_sounds_and_the_recording_switch_in_place(screen, make_study):
    begin(screen, make_study().page)
    screen.js("state.answers = state.questions.slice(0, 4).map(() => ({task: 'naming', sound: ''})), ask()")
    trial(screen, 4)
    screen.click("#play")
    screen.wait("player.playing")
    screen.js("void (window.running = player.sources[0].source)")
    for track in (1, 2, 0):
        screen.click(f"input[name=track][value='{track}'] + span")
        screen.wait(f"!player.playing || player.sources[{track}].level.gain.value > 0.9")
    assert screen.js("[...state.heard].sort()") == [0, 1, 2]


def test_markup_in_labels_stays_text(screen, make_study):
    begin(screen, make_study().page)
    trial(screen, 0)
    assert screen.js("document.querySelectorAll('img').length") == 0
    assert screen.js("window.hurt === undefined")
    assert "onerror" in screen.text("#choices")


def test_a_phone_never_scrolls_sideways(screen, make_study):
    with screen.phone():
        begin(screen, make_study().page)
        trial(screen, 0)
        assert screen.js("document.documentElement.scrollWidth") <= 390
        screen.js("state.answers = state.questions.slice(0, 4).map(() => ({task: 'naming', sound: ''})), ask()")
        trial(screen, 4)
        assert screen.js("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(screen, make_study, theme):
    screen.open(make_study().page)
    if screen.text("#theme").lower() == theme:
        screen.click("#theme")
    assert screen.faults_found_by_axe() == []
    begin(screen, make_study().page)
    trial(screen, 0)
    assert screen.faults_found_by_axe() == []
    screen.js("state.answers = state.questions.slice(0, 4).map(() => ({task: 'naming', sound: ''})), ask()")
    trial(screen, 4)
    assert screen.faults_found_by_axe() == []
    screen.js("state.answers = state.questions.map(() => ({task: 'naming', sound: ''})), finish()")
    assert screen.faults_found_by_axe() == []
