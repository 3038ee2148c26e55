"""DeepLIFT, rescale rule, for any function of a latent: backpropagation of multipliers in place of derivatives.

Shrikumar et al., arXiv 1704.02685. The function is traced once and run at the clip and at the baseline side by side;
then the backward pass uses, at each operation,

    y = phi(x), elementwise     (phi(x) - phi(x0)) / (x - x0)                       in place of phi'(x)
    y = a * b, also matrices    (b + b0) / 2 for a, (a + a0) / 2 for b              in place of b and a
    y = softmax(x)              L(y_i) (dx_i - sum_j w_j dx_j), w_j = L(e^x_j) / L(sum e^x)
    y linear in x               its own derivative

where L(u) = (u - u0) / (log u - log u0), the logarithmic mean, lies between u and u0, so that attention keeps bounded
multipliers however far clip and baseline are apart. Each replaces dy by the exact difference y - y0, so the attribution
sums to F(z) - F(z0), through attention and layer normalisation too. (Captum has the first line for the modules that it
recognises, and rules for its softmax and pooling modules; products and normalisation keep their plain derivative
there, and the sum is missed.) `lax.scan` is run step by step, so that a recurrence, or attention in blocks, has these
multipliers as well. An operation in none of the lines, such as max pooling, keeps its plain derivative; `gap` shows
whether that mattered.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from audex_jax.attribution.path import PathAttribution, broadcast_baseline, ends, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.types import Array, ClipLatent, ClipValid

NESTED = frozenset(("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2"))
ELEMENTWISE = frozenset(
    (
        *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh", "erf", "erf_inv", "erfc"),
        *("exp", "exp2", "expm1", "integer_pow", "lgamma", "log", "log1p", "logistic", "max", "min", "pow", "rsqrt"),
        *("sin", "sinh", "sqrt", "square", "tan", "tanh"),
    )
)
PRODUCTS = frozenset(("mul", "dot_general"))


class _Pair:
    """One intermediate value at the clip, differentiable, and at the baseline."""

    def __init__(self, clip: Array, baseline: Array):
        self.clip, self.baseline = clip, baseline

    @property
    def change(self) -> Array:
        """Zero, with the clip's derivative; it is what a multiplier multiplies."""
        return self.clip - jax.lax.stop_gradient(self.clip)

    @property
    def middle(self) -> Array:
        return jax.lax.stop_gradient(self.clip + self.baseline) / 2


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, **_: Any
) -> PathAttribution:
    """`deeplift` as an `AttributionMethod`."""
    return deeplift(f, latent, baseline, valid=valid)


def deeplift(
    f: ScalarFunction, latent: ClipLatent, baseline: Array | float, *, valid: ClipValid | None = None
) -> PathAttribution:
    """DeepLIFT with the rescale rule; one forward pass each for clip and baseline, one backward pass.

    Args:
        f: function of one latent that returns a scalar; any JAX function.
        latent, baseline, valid: as in `integrated_gradients`.

    Returns:
        The attribution; its gap is rounding unless f has operations without a rule.

    Raises:
        ValueError: as in `integrated_gradients`.

    >>> import jax, jax.numpy as jnp
    >>> deeplift(lambda z: jax.nn.relu(z.sum() - 1), jnp.array([[3.0, 1.0]]), 0.0).attribution.tolist()
    [[2.25, 0.75]]
    """
    baseline = broadcast_baseline(baseline, latent)
    value, baseline_value = ends(f, latent, baseline)
    traced = jax.make_jaxpr(f)(latent)

    def rescaled(z: ClipLatent) -> Array:
        (result,) = _run(traced.jaxpr, traced.consts, [_Pair(z, baseline)])
        return result.clip if isinstance(result, _Pair) else result

    attribution = jax.grad(rescaled)(latent) * (latent - baseline)
    return with_gap(attribution, value, baseline_value, 1, valid)


def _run(jaxpr: Any, consts: list, arguments: list) -> list:
    """Evaluate a traced function on values that are pairs where they depend on the latent."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))
    made_by = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else known[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        scores, axes = _softmax_input(equation, made_by)
        if scores is not None and isinstance(read(scores), _Pair):
            outputs = [_softmax(read(scores), axes)]
        elif any(isinstance(value, _Pair) for value in inputs):
            outputs = _step(equation, inputs)
        else:
            outputs = _bind(equation, inputs)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _step(equation: Any, inputs: list) -> list:
    name = equation.primitive.name
    dependent = [i for i, value in enumerate(inputs) if isinstance(value, _Pair)]
    if name in NESTED:
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        return _run(inner.jaxpr, inner.consts, inputs) if hasattr(inner, "consts") else _run(inner, [], inputs)
    if name == "scan":
        return _scan(equation.params, inputs)
    if name == "stop_gradient":  # declared constant, such as softmax's shift: the same one for both
        return [inputs[0].middle]
    if len(dependent) == 1 and (name in ELEMENTWISE or (name == "div" and dependent == [1])):
        return [_elementwise(equation, inputs, dependent[0])]
    if name in PRODUCTS and len(dependent) == 2:
        return [_product(lambda a, b: _bind(equation, [a, b])[0], *inputs)]
    if name == "div" and len(dependent) == 2:
        return [_product(jnp.multiply, inputs[0], _rescale(jnp.reciprocal, inputs[1]))]
    at_clip = _bind(equation, [v.clip if isinstance(v, _Pair) else v for v in inputs])
    at_baseline = _bind(equation, [v.baseline if isinstance(v, _Pair) else v for v in inputs])
    return [_Pair(*values) for values in zip(at_clip, at_baseline, strict=True)]


def _scan(how: Any, inputs: list) -> list:
    """The steps of a loop, one after the other; returns the last state, and the stacked results of all steps."""
    first, states = how["num_consts"], how["num_carry"]
    constants, state, rows = inputs[:first], inputs[first : first + states], inputs[first + states :]
    given: list[list] = []
    for step in range(how["length"])[:: -1 if how["reverse"] else 1]:
        row = [_Pair(x.clip[step], x.baseline[step]) if isinstance(x, _Pair) else x[step] for x in rows]
        results = _run(how["jaxpr"].jaxpr, how["jaxpr"].consts, [*constants, *state, *row])
        state = results[:states]
        given.append(results[states:])
    return [*state, *(_stack(values[:: -1 if how["reverse"] else 1]) for values in zip(*given, strict=True))]


def _stack(values: Sequence) -> Any:
    if not any(isinstance(value, _Pair) for value in values):
        return jnp.stack(values)
    pairs = [value if isinstance(value, _Pair) else _Pair(value, value) for value in values]
    return _Pair(jnp.stack([pair.clip for pair in pairs]), jnp.stack([pair.baseline for pair in pairs]))


def _bind(equation: Any, values: list) -> list:
    parameters = equation.primitive.get_bind_params(equation.params)
    before, parameters = parameters if isinstance(parameters, tuple) else ((), parameters)  # a tuple up to jax 0.10.1
    result = equation.primitive.bind(*before, *values, **parameters)
    return list(result) if equation.primitive.multiple_results else [result]


def _elementwise(equation: Any, inputs: list, place: int) -> _Pair:
    def function(x: Array) -> Array:
        return _bind(equation, [*inputs[:place], x, *inputs[place + 1 :]])[0]

    return _rescale(function, inputs[place])


def _rescale(function: Any, x: _Pair) -> _Pair:
    clip = jax.lax.stop_gradient(x.clip)
    y, derivative = jax.jvp(function, (clip,), (jnp.ones_like(clip),))
    y0 = function(x.baseline)
    difference = clip - x.baseline
    same = jnp.abs(difference) <= 1e-6 * jnp.maximum(jnp.abs(clip), jnp.abs(x.baseline))
    multiplier = jnp.where(same, derivative, (y - y0) / jnp.where(same, 1, difference))
    return _Pair(jax.lax.stop_gradient(y) + jax.lax.stop_gradient(multiplier) * x.change, y0)


def _product(multiply: Any, a: _Pair, b: _Pair) -> _Pair:
    at_clip = jax.lax.stop_gradient(multiply(a.clip, b.clip))
    return _Pair(
        at_clip + multiply(a.change, b.middle) + multiply(a.middle, b.change), multiply(a.baseline, b.baseline)
    )


def _softmax_input(equation: Any, made_by: dict) -> tuple[Any, tuple[int, ...]]:
    """The x and the axes of a quotient exp(x - shift) / sum(exp(x - shift)); None of anything else."""

    def maker(atom: Any, name: str) -> Any:
        found = None if isinstance(atom, core.Literal) else made_by.get(atom)
        return found if found is not None and found.primitive.name == name else None

    if equation.primitive.name != "div":
        return None, ()
    above, below = equation.invars
    spread = maker(below, "broadcast_in_dim") or maker(below, "reshape")
    total = spread and maker(spread.invars[0], "reduce_sum")
    exponential = maker(above, "exp")
    shifted = exponential and maker(exponential.invars[0], "sub")
    if not (total and shifted and total.invars[0] is above and maker(shifted.invars[1], "stop_gradient")):
        return None, ()
    return shifted.invars[0], total.params["axes"]


def _softmax(x: _Pair, axes: tuple[int, ...]) -> _Pair:
    """In logarithms throughout: clip and baseline need no common shift, and nothing underflows."""
    clip = jax.lax.stop_gradient(x.clip)
    total, total0 = (jax.nn.logsumexp(scores, axis=axes, keepdims=True) for scores in (clip, x.baseline))
    weights = jnp.exp(_log_mean(clip, x.baseline) - _log_mean(total, total0))
    multipliers = jnp.exp(_log_mean(clip - total, x.baseline - total0))
    change = x.change - (weights * x.change).sum(axes, keepdims=True)
    return _Pair(jnp.exp(clip - total) + multipliers * change, jnp.exp(x.baseline - total0))


def _log_mean(a: Array, b: Array) -> Array:
    """Logarithm of the logarithmic mean of exp(a) and exp(b)."""
    apart = jnp.abs(a - b)
    near = apart < 1e-3
    safe = jnp.where(near, 1, apart)
    return jnp.where(near, a / 2 + b / 2, jnp.maximum(a, b) + jnp.log(-jnp.expm1(-safe)) - jnp.log(safe))
