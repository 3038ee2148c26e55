"""The report in a real, headless Chromium: it plays, switches, filters, stays fast, and loads nothing."""

import json
import pathlib
import time

import pytest

from audex_jax.report.page import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of selenium's own sockets
]

ARROW_LEFT = "\ue012"
EVIL = "<svg onload=window.hurt=1>.wav"
EVIL_LABEL = "</script><img src=x onerror=window.hurt=1>"


class Page:
    """A report on the screen."""

    def __init__(self, screen, path: pathlib.Path, address: str = ""):
        started = time.monotonic()
        self.screen = screen.open(path, address)
        screen.wait("document.getElementById('clip').dataset.ready !== undefined")
        self.seconds_to_clip = time.monotonic() - started

    def __getattr__(self, name: str):
        return getattr(self.screen, name)

    def rows(self) -> list[str]:
        return self.js("[...document.querySelectorAll('#rows a')].map((a) => a.textContent)")


def label_all(folder: pathlib.Path) -> None:
    """True labels for the records of a folder: the prediction, but "yes" for every fifth, and none for the last."""
    paths = sorted(folder.glob("*.json"))
    for number, path in enumerate(paths):
        record = json.loads(path.read_text())
        truth = "yes" if number % 5 == 0 else record["prediction"]
        path.write_text(json.dumps(record | {"label": truth if number < len(paths) - 1 else None}))


@pytest.fixture(scope="module")
def report(tmp_path_factory, explained_folder) -> pathlib.Path:
    names = [EVIL, *(f"word {i}.wav" for i in range(1, 12))]
    folder = explained_folder(tmp_path_factory.mktemp("report") / "some", names)
    for path in sorted(folder.glob("*.json"))[::3]:
        path.write_text(path.read_text().replace('"no"', json.dumps(EVIL_LABEL)))
    write_report(folder, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def many(tmp_path_factory, explained_folder) -> pathlib.Path:
    folder = explained_folder(tmp_path_factory.mktemp("many") / "many", [f"{i}.wav" for i in range(8)])
    label_all(folder)
    originals = [sorted(folder.glob(f"clip-000{i}.*")) for i in range(8)]
    for number in range(8, 2000):
        for path in originals[number % 8]:
            copy = folder / path.name.replace(f"000{number % 8}", f"{number:04d}", 1)
            copy.hardlink_to(path)
    write_report(folder, folder / "report.html")
    return folder / "report.html"


def test_it_opens_from_disk_loads_nothing_and_complains_about_nothing(screen, report):
    page = Page(screen, report)
    assert page.seconds_to_clip < 2
    for key in ("2", "3", "4", "]", "[", "j", "k", "m", "l"):
        page.keys("body", key)
    page.click("#theme")
    page.click("#clip details summary")
    assert page.requested() == [report.as_uri()]
    assert page.complaints() == []


def test_markup_in_names_and_labels_stays_text_and_could_not_run(screen, report):
    page = Page(screen, report)
    assert page.text("#name") == EVIL
    assert EVIL_LABEL in page.text("#classified")
    assert EVIL in page.rows()
    assert page.js("document.querySelectorAll('svg:not([aria-hidden]), img').length") == 0
    page.browser.execute_script(  # and could not run even if it had got in
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hurt=1\">')"
    )
    time.sleep(0.3)
    assert page.js("window.hurt === undefined")
    assert any("Content Security Policy" in message for message in page.complaints())


def test_players_switch_in_place_at_the_same_position(screen, report):
    page = Page(screen, report)
    page.click("#loop")
    page.click("#play")
    page.wait("player.playing && player.position > 0.05")
    assert page.browser.find_element("id", "play").get_attribute("aria-label") == "Pause"
    audible = set()
    for track in ("explanation", "residual", "reconstruction", "original"):
        page.js("void (window.running = player.sources[0].source)")
        page.browser.find_element("css selector", f"input[value={track}] + span").click()
        page.wait("player.sources.filter((s) => s.level.gain.value > 0.9).length === 1")
        page.wait("player.sources.filter((s) => s.level.gain.value > 0.01).length === 1")
        audible.add(page.js("player.sources.findIndex((s) => s.level.gain.value > 0.9)"))
        assert page.js("player.playing")
        assert page.js("window.running === player.sources[0].source")  # nothing was started anew
    assert len(audible) == 4
    page.keys("body", " ")
    assert not page.js("player.playing")


def test_playing_ends_and_seeking_moves_the_playhead(screen, report):
    page = Page(screen, report)
    page.click("#play")
    page.wait("!player.playing", 5)
    assert page.js("player.position") == pytest.approx(0.5, abs=0.01)
    page.set("position", "0.25", "input")
    assert page.js("player.position") == pytest.approx(0.25)
    assert page.js("parseFloat(document.getElementById('playhead').style.left)") == pytest.approx(50, abs=0.5)
    page.keys("body", ARROW_LEFT)
    assert page.js("player.position") == pytest.approx(0.15)


def test_levels_are_matched_when_asked_for(screen, report):
    page = Page(screen, report)
    quiet = page.js("rms(view.buffer('residual')) / rms(view.buffer('original'))")
    assert quiet < 0.2
    page.click("#matched")
    gain = page.js("player.gain(view.indexOf('residual'))")
    assert gain * quiet == pytest.approx(1, rel=1e-3)


def test_the_slider_changes_sound_and_verdict(screen, report):
    page = Page(screen, report, "#clip=0")
    page.keys("body", "3")
    heard, said = set(), set()
    for level, keep in enumerate((0.05, 0.1, 0.2, 0.4)):
        page.set("keep", str(level), "input")
        heard.add(page.js("player.audible"))
        said.add(page.text("#headline"))
        assert page.text("#keep-value") == f"{100 * keep:g} %"
    assert len(heard) == len(said) == 4
    assert "(0.80)" in page.text("#headline")


@pytest.fixture(scope="module")
def long(tmp_path_factory, explained_folder) -> pathlib.Path:
    """A recording of two segments of different labels."""
    folder = explained_folder(tmp_path_factory.mktemp("long") / "long", ["long.wav"])
    path = folder / "clip-0000.json"
    record = json.loads(path.read_text())
    (chief,) = record["segments"]
    chief |= {"end_seconds": 0.3}
    other = chief | {"start_seconds": 0.3, "end_seconds": 0.5, "prediction": "stop", "prediction_probability": 0.4}
    other |= {"probabilities": {"stop": 0.4, chief["prediction"]: 0.3}, "target": "stop", "target_probability": 0.4}
    path.write_text(json.dumps(record | {"segments": [chief, other]}))
    write_report(folder, folder / "report.html")
    return folder / "report.html"


def test_a_recording_of_several_segments_is_told_as_such(screen, long):
    page = Page(screen, long)
    assert page.text("#classified") == "2 segments, classified as: no 1, stop 1"
    assert page.text("#headline").startswith("Verdicts on the segments: ")
    assert page.text("#evidence-caption").startswith("Attribution for the label of each segment, ")
    assert page.js("[...document.querySelectorAll('#strip button')].map((b) => b.textContent)") == [
        "no 0.90",
        "stop 0.40",
    ]
    assert page.js("document.querySelectorAll('.cut').length") == 1
    assert not page.js("$('answers-section').checkVisibility()")


@pytest.mark.parametrize("place", ["#strip button:nth-child(2)", "#segments tr:nth-child(2) button"])
def test_a_segment_that_is_chosen_is_heard_and_seen(screen, long, place):
    page = Page(screen, long)
    page.click(place)
    assert "Segment 2 of 2, 0.30 s to 0.50 s: classified as stop (0.40)" in page.text("#classified")
    assert page.js("view.span()") == pytest.approx([0.3, 0.5])
    assert page.js("$('answers-section').checkVisibility()")
    page.click("#play")
    page.wait("!player.playing", 5)
    assert page.js("player.position") == pytest.approx(0.5, abs=0.01)
    page.set("position", "0.1", "input")
    assert page.js("player.position") == pytest.approx(0.3)
    page.click("#whole")
    assert page.js("view.span()") == pytest.approx([0, 0.5])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, explained_folder) -> pathlib.Path:
    folder = explained_folder(tmp_path_factory.mktemp("labelled") / "some", [f"{i}.wav" for i in range(12)])
    label_all(folder)
    write_report(folder, folder / "report.html")
    return folder / "report.html"


def test_true_labels_are_columns_filters_and_a_table(screen, labelled):
    page = Page(screen, labelled)
    assert "9 of 11 classified right (0.82)" in page.text("#summary")
    assert page.text("#rows tr:first-child").split() == ["0.wav", "yes", "no", "0.90", "wrong", "holds"]
    page.set("right-filter", "wrong")
    wrong = page.rows()
    assert wrong == ["0.wav", "10.wav"]
    page.click("#clear")
    assert len(page.rows()) == 12
    page.click("#confusion summary")
    page.click("#confusion button.wrong")
    assert set(page.rows()) < set(wrong)
    assert page.js("document.querySelector('#confusion button.wrong').getAttribute('aria-pressed')") == "true"
    page.click("#confusion button.wrong")
    assert len(page.rows()) == 12


def test_an_empty_result_says_so(screen, labelled):
    page = Page(screen, labelled)
    page.set("search", "nothing like it", "input")
    assert page.text("#empty") == "No recording matches the search and the filters."
    assert page.text("#count") == "0 of 12 recordings"
    page.click("#clear")
    assert not page.js("$('empty').checkVisibility()")


@pytest.mark.parametrize("key", ["name", "truth", "label", "probability", "kind", "gap", "level"])
def test_every_order_can_be_turned_round(screen, labelled, key):
    page = Page(screen, labelled)
    page.set("sort", key)
    up = page.rows()
    page.click("#direction")
    assert page.js("list.down")
    assert sorted(page.rows()) == sorted(up)


def test_what_is_not_stored_is_named_with_what_stores_it(screen, labelled):
    page = Page(screen, labelled)
    assert "audex explain RECORDING --report computes it" in page.text("#missing")
    assert page.js("$('colour').value") == "kept"
    assert page.js("[...$('colour').options].filter((o) => !o.disabled).map((o) => o.value)") == ["kept", "none"]


def test_search_filters_and_sorting(screen, report):
    page = Page(screen, report)
    assert len(page.rows()) == 12
    page.set("search", "WORD 1", "input")
    assert page.rows() == ["word 1.wav", "word 10.wav", "word 11.wav"]
    page.set("search", "", "input")
    page.set("gap-filter", "large")
    assert page.rows() == ["word 4.wav", "word 9.wav"]
    page.set("gap-filter", "")
    lost = page.js("[...document.querySelectorAll('#kind-filter option')].find((o) => o.textContent === 'lost').value")
    page.set("kind-filter", lost)
    assert page.rows() == ["word 3.wav", "word 7.wav", "word 11.wav"]
    page.click("th[data-key=name] button")
    page.click("th[data-key=name] button")
    assert page.rows() == ["word 11.wav", "word 7.wav", "word 3.wav"]
    assert page.js("document.querySelector('th[data-key=name]').getAttribute('aria-sort')") == "descending"
    page.click("#rows a")
    page.wait("document.getElementById('clip').dataset.ready === '11'")
    assert page.text("#name") == "word 11.wav"
    assert "is not classified as" in page.text("#headline")


@pytest.mark.slow
def test_two_thousand_recordings_stay_responsive(screen, many):
    page = Page(screen, many)
    assert page.seconds_to_clip < 2
    assert len(page.rows()) == 50
    assert page.text("#count") == "2000 recordings"
    for action in (
        "$('next-page').click()",
        "$('search').value = '7.WAV', filterList()",
        "list.sort = 'gap', filterList()",
        "$('search').value = '', $('right-filter').value = 'wrong', filterList()",
        "$('clear').click()",
        "document.querySelector('#confusion button.wrong').click()",
        "$('clear').click()",
        "sortBy('probability', true)",
    ):
        assert page.js(f"(() => {{ const t = performance.now(); {action}; return performance.now() - t }})()") < 200
    page.click("#rows a")
    number = page.js("view.number")
    page.wait(f"document.getElementById('clip').dataset.ready === '{number}'")
    assert page.complaints() == []
    assert all(url.startswith("file:") for url in page.requested())


def test_phone_shows_list_or_recording_and_never_scrolls_sideways(screen, report):
    with screen.phone():
        page = Page(screen, report)
        assert page.browser.find_element("id", "list").is_displayed()
        assert not page.browser.find_element("id", "main").is_displayed()
        assert page.js("document.documentElement.scrollWidth") <= 390
        page.click("#rows tr:nth-child(2) a")
        page.wait("document.getElementById('clip').dataset.ready === '1'")
        assert page.browser.find_element("id", "clip").is_displayed()
        page.wait("document.getElementById('wave').width > 300")
        assert page.js("document.documentElement.scrollWidth") <= 390
        page.click("#back")
        assert page.browser.find_element("id", "list").is_displayed()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("which", ["report", "labelled", "long"])
def test_axe_finds_no_serious_fault(request, screen, which, theme):
    page = Page(screen, request.getfixturevalue(which), "#clip=0")
    if theme == "dark":
        page.click("#theme")
    for summary in page.browser.find_elements("css selector", "details:not([hidden]) summary"):
        if summary.is_displayed():
            summary.click()
    assert page.faults_found_by_axe() == []
