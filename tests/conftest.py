"""What all tests share: fake devices, shape checks, seeded arrays. It must be loaded before JAX is."""

import os

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import functools
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jaxtyping import install_import_hook

collect_ignore = ["golden/make_encodec.py"]  # a script that needs PyTorch

# Every annotated shape in the codec is checked while the tests run. Only there: elsewhere functions answer bad input
# with messages of their own, which the checker would forestall.
install_import_hook("audex_jax.codec", "beartype.beartype")


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


@pytest.fixture(autouse=True, scope="module")
def bounded_mappings():
    """Every compiled program keeps a handful of memory mappings. Those of all tests together pass the kernel's limit
    for one process (65,530), where the compiler dies; so they are let go when a third of it is reached."""
    yield
    mappings = pathlib.Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


@pytest.fixture(scope="session")
def codec_of() -> Callable:
    """Codecs with random weights for a config and a seed, made once each; drawn by NumPy, which compiles nothing."""
    from audex_jax.codec import Encodec

    @functools.cache
    def build(config, seed: int = 0):
        rng = np.random.default_rng(seed)

        def draw(leaf):
            fan_in = max(1, leaf.size // leaf.shape[-1]) if leaf.ndim > 1 else 10
            return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(fan_in), jnp.float32)

        graph, state = nnx.split(nnx.eval_shape(lambda: Encodec(config, rngs=nnx.Rngs(0))))
        return nnx.merge(graph, jax.tree.map(draw, state))

    return build


@pytest.fixture(scope="session")
def tiny_explainer(codec_of):
    """An explainer for three labels with random weights; its codec normalises loudness as the bundled one does."""
    import dataclasses

    from audex_jax.classifier import ClassifierConfig, LatentClassifier
    from audex_jax.codec.config import TINY
    from audex_jax.explainer import Explainer
    from audex_jax.pipeline import Weights

    config = ClassifierConfig(dim=TINY.dim, classes=3, frames=100, width=8, layers=1, heads=2, feed_forward=16)
    classifier = LatentClassifier(config, rngs=nnx.Rngs(1))
    codec = codec_of(dataclasses.replace(TINY, normalize=True))
    return Explainer(Weights(codec, classifier, jnp.full(TINY.dim, 0.1)), ("down", "left", "up"), 1.0, None)
