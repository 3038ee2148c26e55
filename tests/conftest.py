"""What all tests share: fake devices, shape checks, seeded arrays. It must be loaded before JAX is."""

import os
import pathlib

# Compiling takes two thirds of the time of all tests: workers, subprocesses and the next run share what is compiled.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("PJRT_NPROC", "9")  # a thread more than devices; see audex_jax/devices/cpu.py
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{pathlib.Path(__file__).parent.parent}/.pytest_cache/compiled")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Most of that goes into making programs fast, which small ones are anyway. Where what users run is tested, against
# references, all cores at work, or by the README's commands, the fixture `optimised` is used.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# XLA's former emitters compile in 0.4 of the time.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

import contextlib
import dataclasses
import functools
import importlib.util
import json
import shutil
import struct
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import install_import_hook

collect_ignore_glob = ["golden/make_*.py"]  # scripts that need PyTorch


def pytest_sessionstart(session):
    """What was compiled two weeks ago goes."""
    if not hasattr(session.config, "workerinput"):
        for path in session.config.rootpath.glob(".pytest_cache/compiled/*-cache"):
            if path.stat().st_mtime < time.time() - 14 * 24 * 3600:
                path.unlink()


# Every annotated shape in the codec is checked while the tests run. Only there: elsewhere functions answer bad input
# with messages of their own, which the checker would forestall.
install_import_hook("audex_jax.codecs", "beartype.beartype")


@pytest.fixture
def rng(request) -> np.random.Generator:
    """Random numbers that depend on nothing but the test's name."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture
def normal(rng) -> Callable[..., jax.Array]:
    """Draws float32 arrays of a given shape."""
    return lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)


@pytest.fixture
def strict_dtypes():
    """Implicit promotion of dtypes raises."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """Programs are compiled as users compile them, those of processes that the tests start, too.

    A process reads XLA_FLAGS once, so programs of the tests' own process keep its emitters. `.ci/run` sets
    it to nothing for parity.
    """
    before = jax.config.values["jax_disable_most_optimizations"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")
        patch.delenv("XLA_FLAGS")
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()
        yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(autouse=True, scope="module")
def bounded_mappings():
    """Every compiled program keeps a handful of memory mappings. Those of all tests together pass the kernel's limit
    for one process (65,530), where the compiler dies; so they are let go when two thirds of it are reached."""
    yield
    mappings = pathlib.Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > 43_000:
        jax.clear_caches()


@functools.cache
def drawn(module: type, config, seed: int = 0):
    """A module with random weights, made once; drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        fan_in = max(1, leaf.size // leaf.shape[-1]) if leaf.ndim > 1 else 10
        mean = 1.0 if "scale" in jax.tree_util.keystr(path) else 0.0  # of the layers that normalise
        return jnp.asarray(mean + rng.normal(size=leaf.shape) / np.sqrt(fan_in), jnp.float32)

    graph, state = nnx.split(nnx.eval_shape(lambda: module(config, rngs=None)))
    return nnx.merge(graph, jax.tree_util.tree_map_with_path(draw, state))


@pytest.fixture(scope="session")
def codec_of() -> Callable:
    """A codec with random weights for a config of any family and a seed."""
    from audex_jax.core.registry import CODECS

    def build(config, seed: int = 0):
        family = next(CODECS[name] for name in CODECS.names() if CODECS[name].config_class is type(config))
        return drawn(family, config, seed)

    return build


@pytest.fixture(scope="session")
def classifier_of() -> Callable:
    """`LatentTransformer` with random weights for fields of its config."""
    from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig

    small = {"frames": 10, "width": 8, "layers": 1, "heads": 2, "feed_forward": 16}
    return lambda seed=0, **fields: drawn(LatentTransformer, TransformerConfig(**small | fields), seed)


@pytest.fixture(scope="session")
def explainer_on(classifier_of) -> Callable:
    """An explainer for three labels and clips of 1 s, with random weights, on a codec of 1000 Hz."""
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.model import Model

    def build(codec) -> Explainer:
        classifier = classifier_of(1, dim=codec.dim, classes=3, frames=codec.frames(1000))
        return Explainer(Model(codec, classifier, jnp.full(codec.dim, 0.1)), ("down", "left", "up"), 1.0)

    return build


@pytest.fixture(scope="session")
def tiny_explainer(explainer_on, codec_of):
    """On a small EnCodec that normalises loudness as the bundled one does."""
    from audex_jax.codecs.encodec.config import TINY

    return explainer_on(codec_of(dataclasses.replace(TINY, normalize=True)))


@pytest.fixture(scope="session")
def mdct_explainer(explainer_on):
    """On a codec that compiles faster, for tests in which it does not matter."""
    from audex_jax.codecs.mdct import MDCT

    return explainer_on(MDCT.from_name("1000"))


@pytest.fixture
def logged() -> Callable:
    """Reads what was logged for TensorBoard into a folder; the test skips where that cannot be logged."""
    pytest.importorskip("tensorboardX", reason="needs the extra `tensorboard`")
    return logged_values


def logged_values(folder: pathlib.Path) -> dict:
    """Values by name and step; the files hold records of a length, a checksum, an event and a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack("<Q", content[at : at + 8])
            event = Event.FromString(content[at + 12 : at + 12 + length])
            found |= {(value.tag, event.step): value for value in event.summary.value}
            at += 16 + length
    return found


class Screen:
    """A headless Chromium, and what tests of pages ask of it."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, path: pathlib.Path, address: str = "") -> "Screen":
        """Open a page from disk and wait until its script says that it is ready."""
        self.browser.get("about:blank")
        self.browser.get_log("browser")
        self.browser.get_log("performance")
        self.browser.get(f"{path.as_uri()}{address}")
        self.wait("document.body.dataset.ready === 'yes'")
        return self

    def js(self, expression: str):
        return self.browser.execute_script(f"return {expression}")

    def wait(self, condition: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, f"never became true: {condition}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        return self.browser.find_element("css selector", selector).text

    def keys(self, selector: str, *keys: str) -> None:
        self.browser.find_element("css selector", selector).send_keys(*keys)

    def type(self, *keys: str) -> None:
        """To whatever has the focus, as a keyboard does."""
        self.browser.switch_to.active_element.send_keys(*keys)

    def set(self, identifier: str, value: str, event: str = "change") -> None:
        self.browser.execute_script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event(arguments[2], {bubbles: true}))",
            identifier,
            value,
            event,
        )

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requested(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "blob:"))]

    def faults_found_by_axe(self) -> list[str]:
        """Accessibility faults, by axe-core; skips the test where that is not installed."""
        axe = pathlib.Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
        if not axe.exists():
            pytest.skip("needs `npm install --no-save axe-core` in the source tree")
        self.browser.execute_script(axe.read_text(encoding="utf-8"))
        found = self.browser.execute_async_script("axe.run().then(arguments[0])")["violations"]
        return [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in found]

    @contextlib.contextmanager
    def phone(self) -> Iterator[None]:
        """A phone's screen, 390 pixels wide."""
        size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="session")
def screen() -> Iterator[Screen]:
    """One Chromium for all tests of pages; they skip where it is not installed."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver and importlib.util.find_spec("selenium")):
        pytest.skip("needs chromium, chromedriver and selenium; see CONTRIBUTING.md")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "window-size=1280,1000"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(20)
    yield Screen(browser)
    browser.quit()
