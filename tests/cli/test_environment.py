"""Where the command runs: no home, a cache that is only read, another locale, an interrupt while it starts, a fork."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from audex_jax.core import compilation, forks
from audex_jax.core.errors import AudexError

COMMAND = [sys.executable, "-m", "audex_jax.cli"]


def test_without_a_home_nothing_is_cached(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "AUDEX_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pathlib.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        assert compilation.cache_folder() is None
        compilation.use_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_a_cache_that_cannot_be_written_is_only_read(monkeypatch, tmp_path):
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: jax.config.values[name] for name in names}
    monkeypatch.setenv("AUDEX_CACHE", str(tmp_path))
    monkeypatch.setattr(compilation, "_writable", lambda directory: False)
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        compilation.use_compilation_cache()
        assert [jax.config.values[name] for name in names] == [str(tmp_path), float("inf")]
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_any_locale_will_do(tmp_path, locale):
    name = tmp_path / "caf\u00e9\n.wav"
    environment = {k: v for k, v in os.environ.items() if k not in ("LANG", "HOME")} | locale
    done = subprocess.run([*COMMAND, "report", os.fsencode(name)], capture_output=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"no such folder" in done.stderr


def test_an_interrupt_while_something_is_imported_ends_the_command(tmp_path):
    """Also where what it raises is swallowed."""
    (tmp_path / "greedy.py").write_text(
        "import os, signal, time\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(5)\n"
        "except KeyboardInterrupt:\n    pass\n"
    )
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background\n"
    code += "from audex_jax.cli import interruptible\nwith interruptible():\n    import greedy\nprint('went on')"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}:{os.getcwd()}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"audex: interrupted\n")


def test_a_model_is_not_used_in_a_fork(monkeypatch):
    forks.must_not_be_forked()
    monkeypatch.setattr(forks.os, "getpid", lambda: -1)
    with pytest.raises(AudexError, match="forked after JAX had started"):
        forks.must_not_be_forked()
