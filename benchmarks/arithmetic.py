"""Arithmetic of a program: what its products and convolutions multiply and move, counted from its trace."""

import jax
from jax.interpreters import partial_eval


def counted(jaxpr) -> tuple[float, float, int]:
    """FLOPs and bytes of all products and convolutions of a program, and turns of its loops."""
    flops, moved, turns = 0.0, 0.0, 0
    for equation in jaxpr.eqns:
        inner = [
            p.jaxpr if hasattr(p, "jaxpr") else p
            for p in equation.params.values()
            if hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ]
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for part in inner:
            found = counted(part)
            flops, moved, turns = flops + times * found[0], moved + times * found[1], turns + times * found[2]
        if equation.primitive.name == "scan":
            turns += times
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            flops += 2.0 * size_of(out) * size_of([shape[axis] for axis in contracted])
        elif equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            channels_out = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            out = equation.outvars[0].aval.shape
            flops += 2.0 * size_of(out) * size_of(kernel) / channels_out / stretch(equation)
        else:
            continue
        moved += sum(size_of(v.aval.shape) * v.aval.dtype.itemsize for v in (*equation.invars, *equation.outvars))
    return flops, moved, turns


def flops_of(function, *inputs) -> float:
    """FLOPs of `function(*inputs)`, without what no result needs: XLA drops that."""
    traced = jax.make_jaxpr(function)(*inputs).jaxpr
    needed, _ = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    return counted(needed)[0]


def stretch(equation) -> float:
    """In a transposed convolution most taps meet zeros, which need not be multiplied."""
    return size_of(equation.params["lhs_dilation"])


def size_of(shape) -> float:
    product = 1.0
    for length in shape:
        product *= length
    return product
