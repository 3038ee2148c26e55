"""What a compiled program's text says of its costs: cycles, copies, kernels, talk between devices.

XLA prints a program as computations of one instruction a line. The TPU's compiler writes how many cycles it expects of
an instruction beside it (`estimated_cycles`); the GPU's does not, but shows which library does a product and what it
had to transpose.
"""

import collections
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

COLLECTIVE = re.compile(r"(all-reduce|all-gather|all-to-all|collective-\w+|reduce-scatter|ragged-all-to-all)(-start)?")
TRANSFER = re.compile(r"(infeed|outfeed|send|recv)|custom-call.*(host|callback)|copy-start.*S\(5\)")
MOVES = ("copy", "transpose", "pad", "reverse", "concatenate", "reshape", "slice", "bitcast", "convert", "broadcast")
UNPRICED = ("sort", "gather", "scatter")
LIBRARIES = {"cudnn": "convolutions", "cublas": "products"}
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%([\w.-]+) = (.*?[\]})] )?([a-z][\w-]*)\(")
CALLED = re.compile(r"(?:calls|to_apply|body|condition)=%([\w.-]+)")


class Instruction(NamedTuple):
    """One line: its name, its operation, what the compiler expects of it, where it comes from, and its text."""

    name: str
    operation: str
    cycles: int
    frame: int
    text: str


class Program(NamedTuple):
    """Computations by name, the name of the first, and the source line of every stack frame."""

    computations: dict[str, list[Instruction]]
    entry: str
    lines: dict[int, str]


def read(text: str) -> Program:
    """A program as `jax.stages.Compiled.as_text` prints it."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if line.endswith("{") and (head := re.match(r"(ENTRY )?%([\w.-]+) \(", line)):
            current = computations[head[2]] = []
            entry = head[2] if head[1] else entry
        elif current is not None and (found := INSTRUCTION.match(line)):
            cycles, frame = re.search(r'estimated_cycles":"(\d+)"', line), re.search(r"stack_frame_id=(\d+)", line)
            cost, place = (int(match[1]) if match else 0 for match in (cycles, frame))
            current.append(Instruction(found[1], found[3], cost, place, line))
    return Program(computations, entry, source_lines(text))


def source_lines(text: str) -> dict[int, str]:
    """`file:line` of every stack frame: the innermost within the package, and the layer that called it."""
    tables: dict[str, dict[int, str]] = {}
    for title in ("FileNames", "FileLocations", "StackFrames"):
        section = re.search(rf"^{title}\n((?:\d+ .*\n)*)", text, re.MULTILINE)
        rows = (row.split(" ", 1) for row in (section[1] if section else "").splitlines())
        tables[title] = {int(number): rest for number, rest in rows}

    def number(field: str, row: str) -> int:
        found = re.search(rf"{field}=(\d+)", row)
        return int(found[1]) if found else 0

    places, lines = {}, {}
    for key, row in tables["FileLocations"].items():
        file = tables["FileNames"][number("file_name_id", row)].strip('"')
        ours = "audex_jax/" in file
        places[key] = f"{file.rsplit('/', 1)[-1]}:{number(' line', ' ' + row)}" if ours else ""
    for key, row in tables["StackFrames"].items():
        above = lines.get(number("parent_frame_id", row) - 1, [])
        place = places.get(number("file_location_id", row), "")
        lines[key] = [*above, place] if place else above
    return {key: " > ".join(chain[-2:]) for key, chain in lines.items()}


def walk(program: Program, name: str = "", times: int = 1) -> Iterator[tuple[Instruction, int]]:
    """Instructions that run, and how often: bodies of loops as often as these turn, of a choice all branches.

    What a fusion calls is part of the fusion. A loop whose end depends on data counts once.
    """
    for one in program.computations[name or program.entry]:
        yield one, times
        if one.operation == "while":
            body, condition = (re.search(rf"{part}=%([\w.-]+)", one.text) for part in ("body", "condition"))
            assert body is not None
            assert condition is not None
            yield from walk(program, body[1], times * turns(program, condition[1], one.text))
        elif one.operation in ("call", "conditional"):
            branches = re.search(r"branch_computations=\{([^}]*)\}", one.text)
            listed = re.findall(r"%([\w.-]+)", branches[1]) if branches else CALLED.findall(one.text)
            for called in listed:
                yield from walk(program, called, times)


def turns(program: Program, condition: str, text: str = "") -> int:
    """How often a loop turns: its known count, or the one bound that its condition compares with; else 1."""
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', text)
    if known:
        return int(known[1])
    inside = list(program.computations[condition])
    for one in program.computations[condition]:
        inside += [part for called in CALLED.findall(one.text) for part in program.computations.get(called, [])]
    if sum(one.operation == "compare" for one in inside) != 1:
        return 1
    bounds = [int(m[1]) for one in inside if (m := re.search(r"= s32\[\]\S* constant\((\d+)\)", one.text))]
    return max(bounds, default=1) or 1


def is_move(program: Program, one: Instruction) -> bool:
    """Whether an instruction only moves, pads or widens numbers."""
    inner = [one]
    for called in CALLED.findall(one.text) if one.operation == "fusion" else ():
        inner = [part for part in program.computations.get(called, []) if part.operation not in ("parameter", "tuple")]
    inner = [part for part in inner if part.operation not in ("constant", "get-tuple-element", "iota")]
    padding = {"maximum", "select", "compare", "dynamic-update-slice", "dynamic-slice"}  # how the TPU's pads and joins
    kinds = {part.operation for part in inner}
    return bool(kinds & set(MOVES) | kinds & {"dynamic-update-slice"}) and kinds <= {*MOVES, *padding}


def tpu_costs(text: str) -> dict[str, Any]:
    """Expected cycles, by kind and by source line; `moves` are those of copies, transposes and padding.

    `unpriced` counts sorts and custom fusions, gathers and scatters, of which the compiler expects no cycles.
    """
    program = read(text)
    total, moves, unpriced = 0, 0, 0
    dearest: collections.Counter[str] = collections.Counter()
    for one, times in walk(program):
        cycles = one.cycles * times
        total += cycles
        moving = is_move(program, one)
        moves += cycles * moving
        unpriced += times * (not cycles and ("kind=kCustom" in one.text or one.operation in UNPRICED))
        named = re.search(r'op_name="([^"]*)"', one.text)
        label = f"{program.lines.get(one.frame, '')} {named[1].rsplit('/', 1)[-1] if named else one.operation}"
        dearest[label + (" (moves)" if moving else "")] += cycles
    most = {line: cycles for line, cycles in dearest.most_common(10) if cycles}
    return {"cycles": total, "moves": moves, "unpriced": unpriced, "dearest": most, **talk(program)}


def gpu_costs(text: str) -> dict[str, Any]:
    """Kernels by kind: fusions, products and convolutions of libraries, copies and transposes."""
    program = read(text)
    kinds: collections.Counter[str] = collections.Counter()
    for computation in program.computations.values():
        for one in computation:
            library = re.search(r'custom_call_target="([^"]*)"', one.text)
            if library:
                kinds[next((kind for part, kind in LIBRARIES.items() if part in library[1]), "calls")] += 1
            elif one.operation in ("fusion", "copy", "transpose"):
                kinds[one.operation + "s"] += 1
    return {**kinds, **talk(program)}


def talk(program: Program) -> dict[str, int]:
    """Operations between devices, and between a device and its host."""
    every = [one for computation in program.computations.values() for one in computation]
    return {
        "collectives": sum(bool(COLLECTIVE.fullmatch(one.operation)) for one in every),
        "transfers": sum(bool(TRANSFER.search(f"{one.operation} {one.text}".split("metadata=")[0])) for one in every),
    }


def flops(jaxpr: Any) -> int:
    """Floating-point operations of a traced program's products and convolutions; loops as often as they turn."""
    total = 0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            depth = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += 2 * equation.outvars[0].aval.size * math.prod(depth)
        elif name == "conv_general_dilated":
            kernel, numbers = equation.invars[1].aval, parameters["dimension_numbers"]
            total += 2 * equation.outvars[0].aval.size * kernel.size // kernel.shape[numbers.rhs_spec[0]]
        times = parameters.get("length", 1) if name == "scan" else 1
        for inner in jax.tree.leaves(list(parameters.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                total += times * flops(inner)
    return total
