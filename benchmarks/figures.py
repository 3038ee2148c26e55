"""Writes the figures of `benchmarks/README.md` from the JSON files in `benchmarks/results`.

python -m benchmarks.figures
"""

import json
import pathlib
from typing import Any

from audex_jax.evaluation.outputs import markdown_table
from benchmarks import attribution_speed, codec, pipeline
from benchmarks.measure import shown

HERE = pathlib.Path(__file__).parent
START, END = "<!-- figures -->", "<!-- end of figures -->"


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as they are shown on a terminal, as a table of a document."""
    columns = list(rows[0])
    return markdown_table(columns, [[shown(row.get(column)) for column in columns] for row in rows])


def pipeline_tables(found: dict) -> list[str]:
    parts = []
    for name, title in (
        ("same", "The same points"),
        ("same in bfloat16", "The same points in bfloat16"),
        ("equal", "Equal ranking"),
        ("bfloat16", "Equal ranking in bfloat16"),
        ("refined", "Refined ranking"),
    ):
        if name in found:
            clips = f"{found['clips']} clips of {found.get('seconds', 1.0):g} s, {found['subject']}"
            parts += [f"{title}, {clips}:", table([pipeline.plain(found[name])])]
    enough = [found[name] for name in ("enough", "enough in bfloat16") if name in found]
    if enough:
        parts += ["Points that rank as well:", table(enough)]
    if "levels" in found:
        parts += ["The published evaluation at 7 levels:", table([pipeline.plain(row) for row in found["levels"]])]
    if "memory" in found:
        parts += ["Resident memory of the same points, MB:", table(found["memory"])]
    return parts


def scaling_tables(found: dict) -> list[str]:
    lines = [{"series": series} | found[series]["fit"] for series in ("clips", "length", "points") if series in found]
    return [table(lines)]


TABLES = {
    "pipeline": pipeline_tables,
    "codec": lambda found: [table(codec.table(found["rows"]))],
    "attribution_speed": lambda found: [table(attribution_speed.table(found["rows"]))],
    "scaling": scaling_tables,
    "coldstart": lambda found: [table(found["rows"])],
}


def section(path: pathlib.Path) -> str:
    """One result file as a section: where it was measured, and its tables."""
    found = json.loads(path.read_text(encoding="utf-8"))
    module = path.stem.split("-")[0]
    where = found["environment"]
    versions = ", ".join(
        f"{name} {where[name]}" for name in ("jax", "torch", "transformers", "captum") if name in where
    )
    flags = f", XLA_FLAGS `{where['XLA_FLAGS']}`" if where["XLA_FLAGS"] else ""
    head = (
        f"{where['processor']}, {where['cores']} cores, load {where['load']:.1f} at the end; {versions}{flags}; "
        f"revision {where['revision']}, {where['date']}."
    )
    return "\n\n".join([f"### `{path.stem}`", head, *TABLES[module](found)])


def main() -> None:
    sections = [section(path) for path in sorted((HERE / "results").glob("*.json"))]
    document = HERE / "README.md"
    before, rest = document.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    document.write_text(before + "\n\n".join([START, *sections, END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
