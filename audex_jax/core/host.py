"""Functions that JAX cannot trace, such as a PyTorch model, inside programs that are written for tracing.

A callback inside a compiled program would do, but such a program never enters JAX's compilation cache. Here the program
is traced as a whole, with `host_call` in the places where the host is asked, and then cut there:

    piece ─► host_call ─► piece ─► host_call ─► ...

Each piece is compiled by itself, and a loop that asks the host runs on the host, piece by piece. So derivatives, `vmap`
and loops are JAX's, and programs are cached as always.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray, Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Primitive, jaxpr_as_fun
from jax.interpreters import batching

from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array

Batched = Callable[..., Sequence[Any]]  # of arrays `[b, ...]`; a sequence of float32 arrays `[b, ...]`

PROGRAMS = 64  # that a function keeps, one for all arguments of the same shapes

host_call = Primitive("host_call")
host_call.multiple_results = True


@host_call.def_abstract_eval
def _shapes(*arrays: Any, function: Batched, shapes: tuple, ranks: tuple[int, ...]) -> list[Any]:
    mapped = arrays[0].shape[: arrays[0].ndim - ranks[0]]
    return [ShapedArray((*mapped, *shape), np.dtype(np.float32)) for shape in shapes]


@host_call.def_impl
def _ask(*arrays: Any, function: Batched, shapes: tuple, ranks: tuple[int, ...]) -> list[Array]:
    mapped = arrays[0].shape[: arrays[0].ndim - ranks[0]]
    found = function(*(np.asarray(a).reshape(-1, *a.shape[len(mapped) :]) for a in arrays))
    return [jnp.asarray(a, jnp.float32).reshape(*mapped, *a.shape[1:]) for a in found]


def _mapped(arrays: Sequence[Any], axes: Sequence[int | None], **how: Any) -> tuple[list[Array], list[int]]:
    size = next(a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None)
    fronted = [
        jnp.broadcast_to(a, (size, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)
        for a, axis in zip(arrays, axes, strict=True)
    ]
    found = host_call.bind(*fronted, **how)
    return found, [0] * len(found)


batching.primitive_batchers[host_call] = _mapped


def on_host(value: Batched, pull_back: Batched, shape: tuple[int, ...], *arrays: Any) -> Array:
    """A function of one example on the host, differentiable with respect to its first argument.

    Under `jax.vmap` it is called once for all that is mapped.

    Args:
        value: `arrays [b, ...] -> (result [b, ...],)`.
        pull_back: `(*arrays, cotangent) [b, ...] -> (cotangent of the first array,)`.
        shape: of the result, for one example.
        arrays: one example.
    """

    def ask(function: Batched, shape: tuple[int, ...], *own: Array) -> Array:
        ranks = tuple(a.ndim for a in own)
        return host_call.bind(*own, function=function, shapes=(tuple(shape),), ranks=ranks)[0]

    @jax.custom_vjp
    def apply(*own: Array) -> Array:
        return ask(value, shape, *own)

    def forward(*own: Array) -> tuple[Array, tuple[Array, ...]]:
        return apply(*own), own

    def backward(own: tuple[Array, ...], cotangent: Array) -> tuple[Array | None, ...]:
        return (ask(pull_back, own[0].shape, *own, cotangent), *(None for _ in own[1:]))

    apply.defvjp(forward, backward)
    return apply(jnp.asarray(arrays[0], jnp.float32), *map(jnp.asarray, arrays[1:]))


def no_gradient(*_: Any) -> Sequence[Any]:
    """The pull-back of a function that has none."""
    raise AudexError(
        "this classifier gives no gradient; choose a method and a ranking that need none, such as "
        "masked-regression and evolved-mask"
    )


def traceable(*models: Any) -> bool:
    """Whether JAX can compile everything in some pytrees: no part says `traceable = False`."""
    parts = jax.tree.leaves(models, is_leaf=lambda part: hasattr(part, "traceable"))
    return all(getattr(part, "traceable", True) for part in parts)


def compile_step(function: Callable | None = None, *, static_argnames: Sequence[str] | str = ()) -> Any:
    """`jax.jit` for a function of models; `in_pieces` if one of them cannot be compiled.

    Args:
        function: to compile; None to use this as a decorator with options.
        static_argnames: as for `jax.jit`.
    """
    if function is None:
        return functools.partial(compile_step, static_argnames=static_argnames)
    whole = jax.jit(function, static_argnames=static_argnames)
    pieces = in_pieces(function, static_argnames)

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        return (whole if traceable(arguments) else pieces)(*arguments, **options)

    return run


def in_pieces(function: Callable, static_argnames: Sequence[str] | str = ()) -> Callable:
    """A function that may ask the host, cut where it does; once for all arguments of the same shapes.

    Args:
        function: as for `jax.jit`.
        static_argnames: likewise.
    """
    signature = inspect.signature(function)
    static = {static_argnames} if isinstance(static_argnames, str) else set(static_argnames)

    @functools.lru_cache(PROGRAMS)
    def program(fixed: tuple, structure: Any, shapes: tuple) -> tuple[Program, Any]:
        given = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes])

        def whole(own: dict[str, Any]) -> Any:
            named = inspect.BoundArguments(signature, {**own, **dict(fixed)})  # type: ignore[arg-type]
            return function(*named.args, **named.kwargs)

        traced, out = jax.make_jaxpr(whole, return_shape=True)(given)
        return Program(traced), jax.tree.structure(out)

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options).arguments
        fixed = tuple((name, given.pop(name)) for name in sorted(static & given.keys()))
        leaves, structure = jax.tree.flatten(dict(given))
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return function(*arguments, **options)  # part of another program
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        found, out = program(fixed, structure, tuple((a.shape, a.dtype) for a in arrays))
        return jax.tree.unflatten(out, found(*arrays))

    return run


class Program:
    """A traced program, cut into pieces that are compiled and calls of the host."""

    def __init__(self, traced: ClosedJaxpr):
        """Cut a program."""
        self.jaxpr, self.constants = traced.jaxpr, traced.consts
        self.steps = list(_steps(traced.jaxpr))

    def __call__(self, *arguments: Any) -> list[Any]:
        """Run it on the flat arguments; the flat results."""
        variables = [*self.jaxpr.constvars, *self.jaxpr.invars]
        values = dict(zip(variables, [*self.constants, *arguments], strict=True))
        for step in self.steps:
            own = [v.val if isinstance(v, Literal) else values[v] for v in step.inputs]
            values.update(zip(step.outputs, step.run(*own), strict=True))
        return [v.val if isinstance(v, Literal) else values[v] for v in self.jaxpr.outvars]


class Step(NamedTuple):
    """A part of a program: variables and literals that go in, variables that come out, and what computes them."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    run: Callable[..., Sequence[Any]]


def _steps(jaxpr: Jaxpr) -> Iterator[Step]:
    """The steps of a program in order."""
    runs: list[list[Any]] = []
    for equation in jaxpr.eqns:
        if _asks(equation) or not runs or _asks(runs[-1][-1]):
            runs.append([])
        runs[-1].append(equation)
    wanted = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    needed: list[set[Any]] = []
    for run in reversed(runs):
        needed.append(set(wanted))
        wanted |= {v for equation in run for v in equation.invars if not isinstance(v, Literal)}
    for run, later in zip(runs, reversed(needed), strict=True):
        if _asks(run[0]):
            yield Step(run[0].invars, run[0].outvars, _asking(run[0]))
        else:
            yield _piece(jaxpr, run, later)


def _piece(jaxpr: Jaxpr, equations: Sequence[Any], later: set[Any]) -> Step:
    """Equations of a program that do not ask the host, as one program; of its results those that are used later."""
    made = [v for equation in equations for v in equation.outvars]
    used = [v for equation in equations for v in equation.invars if not isinstance(v, Literal)]
    inputs = list(dict.fromkeys(v for v in used if v not in set(made)))
    outputs = [v for v in made if v in later]

    part = jaxpr.replace(constvars=[], invars=inputs, outvars=outputs, eqns=list(equations))
    run = jax.jit(jaxpr_as_fun(ClosedJaxpr(part, ())))
    return Step(inputs, outputs, run)


def _inner(equation: Any) -> list[ClosedJaxpr]:
    """Programs within an equation."""
    values = [x for value in equation.params.values() for x in (value if isinstance(value, (tuple, list)) else [value])]
    closed = [x for x in values if isinstance(x, ClosedJaxpr)]
    return closed + [ClosedJaxpr(x, ()) for x in values if isinstance(x, Jaxpr)]


def _asks(equation: Any) -> bool:
    """Whether the host is asked somewhere in an equation."""
    if equation.primitive is host_call:
        return True
    return any(_asks(own) for inner in _inner(equation) for own in inner.jaxpr.eqns)


def _asking(equation: Any) -> Callable[..., Sequence[Any]]:
    """How to run an equation that asks the host."""
    params, name = equation.params, equation.primitive.name
    if equation.primitive is host_call:
        return functools.partial(_ask, **params)
    if name == "scan":
        return functools.partial(_scan, Program(params["jaxpr"]), params)
    if name == "while":
        return functools.partial(_while, Program(params["cond_jaxpr"]), Program(params["body_jaxpr"]), params)
    if name == "cond":
        branches = [Program(branch) for branch in params["branches"]]
        return lambda index, *arguments: branches[int(index)](*arguments)
    return Program(_inner(equation)[0])  # jit, custom_vjp, remat: what they hold


def _scan(body: Program, params: dict[str, Any], *arguments: Any) -> list[Any]:
    fixed, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
    constants, state, columns = arguments[:fixed], list(arguments[fixed:carried]), arguments[carried:]
    places = range(params["length"])
    rows: list[Sequence[Any]] = []
    for place in reversed(places) if params["reverse"] else places:
        found = body(*constants, *state, *(column[place] for column in columns))
        state = found[: params["num_carry"]]
        rows.append(found[params["num_carry"] :])
    ordered = reversed(rows) if params["reverse"] else rows
    return [*state, *(jnp.stack(column) for column in zip(*ordered, strict=True))]


def _while(condition: Program, body: Program, params: dict[str, Any], *arguments: Any) -> list[Any]:
    first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    asked, constants, state = arguments[:first], arguments[first:second], list(arguments[second:])
    while bool(condition(*asked, *state)[0]):
        state = body(*constants, *state)
    return state
