"""A program that asks the host gives what the same program gives that JAX compiles as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.core.errors import AudexError
from audex_jax.core.host import in_pieces, no_gradient, on_host

WEIGHT = np.linspace(0.5, 1.5, 4).astype(np.float32)


def by_jax(x):
    return (jnp.sin(x) * WEIGHT).sum()


def on_the_host(calls, pull_back=True):
    def value(x):
        calls.append(x.shape)
        return ((np.sin(x) * WEIGHT).sum(-1),)

    def pull(x, cotangent):
        return (np.cos(x) * WEIGHT * cotangent[:, None],)

    return lambda x: on_host(value, pull if pull_back else no_gradient, (), x)


PROGRAMS = {
    "value": lambda f, x: f(x[0] * 2) + 1,
    "vmap of grad": lambda f, x: jax.vmap(jax.grad(lambda z: f(z) ** 2))(x),
    "grad of vmap": lambda f, x: jax.grad(lambda z: jax.vmap(f)(z).sum() ** 2)(x),
    "vmap of vmap": lambda f, x: jax.vmap(lambda z: jax.vmap(lambda a: f(a * z))(jnp.arange(3.0)))(x),
    "map": lambda f, x: jax.lax.map(f, x, batch_size=2),
    "scan": lambda f, x: jax.lax.scan(lambda s, z: (s + f(z), s * z), 0.0, x, reverse=True),
    "grad of scan": lambda f, x: jax.grad(lambda z: jax.lax.scan(lambda s, y: (s * f(y), None), 1.0, z)[0])(x),
    "while": lambda f, x: jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + f(x[s[0]])), (0, 0.0)),
    "cond": lambda f, x: jax.lax.cond(x[0, 0] > 9, lambda: 0.0, lambda: f(x[1])),
    "jit within": lambda f, x: jax.jit(lambda z: f(z) * 3)(x[2]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_cut_gives_what_is_whole(name, rng):
    x = jnp.asarray(rng.normal(size=(5, 4)), jnp.float32)
    calls: list = []
    found = in_pieces(lambda z: PROGRAMS[name](on_the_host(calls), z))(x)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
        found,
        PROGRAMS[name](by_jax, x),
    )
    assert calls


def test_what_is_mapped_reaches_the_host_in_one_call(rng):
    calls: list = []
    in_pieces(lambda x: jax.vmap(jax.value_and_grad(on_the_host(calls)))(x))(jnp.zeros((5, 4)))
    assert calls == [(5, 4)]


def test_static_arguments_and_trees(rng):
    def scaled(tree, by):
        return {"found": on_the_host([])(tree["x"]) * by}

    run = in_pieces(scaled, static_argnames="by")
    assert float(run({"x": jnp.zeros(4) + 1}, 3)["found"]) == pytest.approx(3 * np.sin(1) * 4, rel=1e-5)
    assert float(run({"x": jnp.zeros(4)}, by=2)["found"]) == 0


def test_no_gradient_is_said():
    with pytest.raises(AudexError, match="gives no gradient; choose a method"):
        in_pieces(jax.grad(on_the_host([], pull_back=False)))(jnp.zeros(4))
