"""What an evaluation leaves on disk and in the terminal: JSON, Parquet, a picture and a table."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.parquet

from audex_jax.evaluation.plan import MODES, SILENCE
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.summary import finite
from audex_jax.explain.model import DOMAINS
from audex_jax.io import atomic
from audex_jax.io.atomic import replacing
from audex_jax.io.marks import MARK
from audex_jax.report.figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#c1272d", "#1f5fa8", "#2f7d4f", "#b8860b", "#7b4397", "#4a5560", "#d2691e", "#008b8b", "#9aa4af")


def write_json(path: str | os.PathLike, record: dict[str, Any]) -> None:
    """Write a record, whole or not at all; numbers that are not finite become null."""
    atomic.write_json(path, finite(record), indent=1)


def write_parquet(path: str | os.PathLike, scores: Scores) -> None:
    """One line for each clip, method, filler, seed, level and mode; whole or not at all."""
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(table_of(scores).replace_schema_metadata({"made_by": MARK}), temporary)


def table_of(scores: Scores) -> pyarrow.Table:
    """The scores as a table, clips outermost."""
    plan = scores.plan
    shape = (len(scores.files), len(plan.rows), len(plan.grid), len(MODES))

    def along(axis: int, values: Any) -> np.ndarray:
        index = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(4)])
        return np.asarray(values, object)[np.broadcast_to(index, shape).ravel()]

    def words(axis: int, values: Any) -> pyarrow.Array:
        return pyarrow.array(along(axis, values), pyarrow.string()).dictionary_encode()

    names = np.array([*scores.labels, None], object)  # class -1, nothing classified, is the last
    columns = {
        "file": words(0, scores.files),
        "speaker": words(0, scores.speakers),
        "label": words(0, names[scores.label]),
        "predicted": words(0, names[scores.predicted]),
        "reconstructed": words(0, names[scores.reconstructed]),
        "method": words(1, [row.method for row in plan.rows]),
        "filler": words(1, [row.filler for row in plan.rows]),
        "seed": pyarrow.array(along(1, [row.seed for row in plan.rows]), pyarrow.int16()),
        "level": pyarrow.array(along(2, plan.grid), pyarrow.float64()),
        "mode": words(3, MODES),
    }
    for w, domain in enumerate(DOMAINS):
        known = scores.edited_label[..., w].ravel() >= 0
        columns[f"{domain}_label"] = pyarrow.array(
            names[scores.edited_label[..., w].ravel()], pyarrow.string()
        ).dictionary_encode()
        for name, values in (("agrees", scores.agrees), ("correct", scores.correct)):
            columns[f"{domain}_{name}"] = pyarrow.array(values[..., w].ravel() == 1, mask=~known)
        columns[f"{domain}_probability"] = pyarrow.array(scores.edited_probability[..., w].ravel(), mask=~known)
    return pyarrow.table(columns)


def curves_figure(summary: dict[str, Any]) -> "Figure":
    """Agreement against the share kept and deleted, in every domain; one row a filler."""
    curves = summary["curves"]
    fillers = [f for f in dict.fromkeys(c["filler"] for c in curves) if f != SILENCE] or [SILENCE]
    methods = list(dict.fromkeys(c["method"] for c in curves))
    colour = dict(zip(methods, COLOURS * (1 + len(methods) // len(COLOURS)), strict=False))
    figure = new_figure(6.0 * len(DOMAINS), 0.8 + 2.7 * len(fillers), layout="constrained")
    axes = figure.subplots(len(fillers), len(MODES) * len(DOMAINS), sharex=True, sharey=True, squeeze=False)
    for row, filler in enumerate(fillers):
        for column, (mode, domain) in enumerate((m, w) for m in MODES for w in DOMAINS):
            axis = axes[row][column]
            for c in curves:
                if (c["mode"], c["domain"]) != (mode, domain) or c["filler"] not in (filler, SILENCE):
                    continue
                style = "--" if c["filler"] == SILENCE else "-"
                axis.plot(
                    c["level"], c["agreement"], style, color=colour[c["method"]], linewidth=1.2, label=c["method"]
                )
                if None not in c["low"]:  # too few speakers tell no interval
                    axis.fill_between(
                        c["level"], c["low"], c["high"], color=colour[c["method"]], alpha=0.15, linewidth=0
                    )
            if domain != DOMAINS[0]:
                axis.axhline(summary["ceiling"]["agreement_on_reconstruction"]["mean"], color="#9aa4af", linewidth=0.8)
            axis.set_title(f"{mode}, {domain}, filler {filler}", fontsize=8)
            axis.tick_params(labelsize=7)
            axis.set_xlabel(f"share {'kept' if mode == 'keep' else 'deleted'}", fontsize=7)
            axis.spines[["top", "right"]].set_visible(False)
        axes[row][0].set_ylabel("agreement with the prediction", fontsize=7)
    handles = {label: h for a in axes.ravel() for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", fontsize=7, ncols=8, frameon=False)
    return figure


def write_outputs(folder: Any, scores: Scores, record: dict[str, Any]) -> None:
    """`fidelity.parquet`, `curves.png` and, last, `fidelity.json`: where that is, the others are complete."""
    write_parquet(folder / "fidelity.parquet", scores)
    save_figure(folder / "curves.png", curves_figure(record))
    write_json(folder / "fidelity.json", record)


def rows_of(summary: dict[str, Any], levels: tuple[float, ...]) -> list[list[str]]:
    """The table: a line for each method and filler; at each level kept and deleted, one figure for each of `DOMAINS`.

    Kept is the share of clips that keep the model's prediction, deleted the share that lose it.
    """
    cells: dict[tuple, dict] = {}
    for c in summary["curves"]:
        line = cells.setdefault((c["method"], c["filler"]), {})
        for level, agreement in zip(c["level"], c["agreement"], strict=True):
            line[c["mode"], c["domain"], level] = agreement if c["mode"] == "keep" else 1 - agreement

    def cell(line: dict, mode: str, level: float) -> str:
        both = [line.get((mode, domain, level)) for domain in DOMAINS]
        return " / ".join("  -  " if x is None else f"{x:.3f}" for x in both)

    return [
        [method, filler, *(cell(line, mode, level) for mode in MODES for level in levels)]
        for (method, filler), line in cells.items()
    ]


def header_of(levels: tuple[float, ...]) -> list[str]:
    """The heads of the columns of `rows_of`."""
    return ["method", "filler", *(f"{mode} {level:.3g}" for mode in MODES for level in levels)]


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Columns of equal width, for a terminal."""
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    return "\n".join(
        "  ".join(x.ljust(w) for x, w in zip(line, widths, strict=True)).rstrip() for line in (header, *rows)
    )


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """The same for a document."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
