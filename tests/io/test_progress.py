"""What stands on stderr while work is under way."""

import pytest

from audex_jax.io.progress import COMPILING, Bar, Bars, track


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_says_what_the_first_minute_is_spent_on(capsys, quiet):
    assert list(track(range(3), "explaining", 3, quiet, COMPILING)) == [0, 1, 2]
    assert capsys.readouterr().err == ("" if quiet else f"explaining: {COMPILING}\n")


def test_a_terminal_shows_it_until_the_first_step_is_done(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Bar("explaining", 2, first=COMPILING) as bar:
        assert bar.progress.tasks[0].fields["note"] == COMPILING
        bar.update(1)
        assert bar.progress.tasks[0].fields["note"] == ""


def test_one_bar_follows_another(capsys):
    with Bars() as bars:
        for what, total in (("linear", 2), ("transformer", 1)):
            for done in range(1, total + 1):
                bars.update(what, done, total, "loss 0.5")
    assert [line.split(" after")[0] for line in capsys.readouterr().err.splitlines()] == [
        "linear: 2/2", "transformer: 1/1"]  # fmt: skip
