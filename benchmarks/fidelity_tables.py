"""The figures of `benchmarks.fidelity` as the tables of a document, from the parts that are there."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from audex_jax.evaluation.outputs import header_of, rows_of
from audex_jax.evaluation.statistics import bracket
from audex_jax.evaluation.strangers import MEAN, strangers_header, strangers_rows
from audex_jax.explain.model import DOMAINS
from benchmarks.measure import table

SHOWN = (0.1, 0.2, 0.417)
STATISTICS = ("insertion", "deletion", "insertion_minus_deletion", "comprehensiveness", "sufficiency")
FIELD = ("AI", "AD", "AD of SpeechBrain", "AG", "FF", "Fid-In")
SHARE = "0.2"  # that FIELD is shown at


def shares_table(record: dict[str, Any]) -> str:
    """Kept and deleted at the shown shares, one figure for each domain."""
    return table([dict(zip(header_of(SHOWN), row, strict=True)) for row in rows_of(record, SHOWN)])


def rounded(row: dict[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Some columns of a row, with three decimals; what cannot be told is a dash."""
    chosen = {name: row[name] for name in names} if names else row
    return {
        name: "-" if value is None else f"{value:.3f}" if isinstance(value, float) else value
        for name, value in chosen.items()
    }


def comparison_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first method against the others, through the audio."""
    for c in record["comparisons"]:
        if c["domain"] == "audio" and c["level"] in SHOWN[:2]:
            yield {"against": c["against"], "filler": c["against_filler"], "mode": c["mode"], "share": c["level"]} | {
                "advantage": f"{c['difference']:+.3f}{bracket(c['low'], c['high'], '+.3f')}",
                **{name: "-" if c[name] is None else f"{c[name]:.1g}" for name in ("p", "p_holm")},
            }


def metric_rows(record: dict[str, Any], statistics: Sequence[str] = STATISTICS) -> Iterator[dict[str, Any]]:
    """Areas and the field's metrics, through the audio."""
    for m in record["metrics"]:
        if m["domain"] == "audio":
            areas = {name.replace("_", " "): f"{m[name]['mean']:.3f}" for name in statistics}
            field = {name: m[name][SHARE] for name in FIELD if SHARE in m[name]}
            yield {"method": m["method"], "filler": m["filler"], **areas, **field}


def ceiling_of(record: dict[str, Any]) -> str:
    """The clips, and what the classifier does before anything is taken out, in a sentence."""
    means = {name: figure["mean"] for name, figure in record["ceiling"].items()}
    return (
        f"{record['clips']} clips, {record['speakers'] or 'unknown'} speakers or sources; intervals and tests draw "
        f"{record['resampled']}. Accuracy {means['accuracy']:.3f}, on the codec's reconstruction "
        f"{means['accuracy_on_reconstruction']:.3f}; the two agree in {means['agreement_on_reconstruction']:.3f}, "
        "which is what audio can reach."
    )


def main_tables(record: dict[str, Any]) -> list[str]:
    plan = record["plan"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        f"## {record['data']}",
        f"Written by `python -m benchmarks.fidelity`. Model `{pathlib.Path(record['model']).name}` (weights "
        f"{record['weights']}), {record['split']} split; {plan['rule']}, {plan['steps']} points, {plan['seeds']} "
        f"seeds, {plan['mask_steps']} mask steps; {record['seconds']:.0f} s on {record['device']}; {versions}.",
        ceiling_of(record),
        f"Shares of clips, {' / '.join(DOMAINS)}. keep: what is kept alone gets the model's own prediction; delete: "
        "without it the prediction changes. Input methods edit the decoded sound, so they have no latent.",
        shares_table(record),
        f"### {plan['methods'][0]} against the others, through the audio",
        "Advantage with its paired 95 % interval, p of flipped signs, and that corrected for all comparisons of the "
        "evaluation (Holm); positive favours the first. A dash: cannot be told.",
        table(list(comparison_rows(record))),
        "### Areas and the field's metrics, through the audio",
        table(list(metric_rows(record))),
        "AI to Fid-In with 20 % kept. Insertion, comprehensiveness, FF: high is good; deletion, sufficiency: low.",
        "The attribution that the rankings start from; SPS and COMP are sparseness and complexity:",
        table([rounded(row) for row in record["attribution"]]),
    ]


def task_tables(title: str) -> Callable[[list[dict[str, Any]]], list[str]]:
    """One table for several sets of clips, at the second of the shown shares, and what their controls say."""

    def tables(records: list[dict[str, Any]]) -> list[str]:
        header, share = header_of(SHOWN[1:2]), SHOWN[1]
        rows, said = [], []
        for record in records:
            shape = {name: record["attribution"][0][name] for name in ("SPS", "COMP")}
            field = {row["method"]: row for row in metric_rows(record, ())}
            for row in rows_of(record, SHOWN[1:2]):
                own = dict(zip(header, row, strict=True))
                rows.append(rounded({"clips": record["task"]} | own | field[own["method"]] | shape))
            means = {name: figure["mean"] for name, figure in record["ceiling"].items()}
            text = (
                f"{record['task']}: {record['clips']} clips, accuracy {means['accuracy']:.3f}, reconstructions agree "
            )
            text += f"in {means['agreement_on_reconstruction']:.3f}"
            if "controls" in record:
                found = record["controls"]
                text += (
                    f", a wrong target is heard in {found['wrong']['mean']:.3f}, forced {found['forced']['mean']:.3f}"
                )
            said.append(text)
        first = f"{share:.0%} kept, over zeros; AI to Fid-In by the audio. " + "; ".join(said) + "."
        return [title, first, table(rows)]

    return tables


def sanity_tables(record: dict[str, Any]) -> list[str]:
    names = ("layer", "spearman", "overlap", "magnitude")
    return [
        "### Sanity",
        "Layers shuffled down to this one: rank correlation and top 20 % shared with the intact model's attribution; "
        "rank correlation with abs(z - z0).",
        table([rounded(stage, names) for stage in record["stages"]]),
        record["words"],
    ]


def strangers_tables(record: dict[str, Any]) -> list[str]:
    parts = [
        "### Strangers",
        f"{record['clips']} clips. Classifiers trained apart hear the sounds, each compared with itself on the plain "
        f"reconstruction; differences from `{record['against']}`, intervals over {record['resampled']}. Accuracy: "
        + ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in record["accuracy"].items())
        + ".",
    ]
    for share in SHOWN[:2]:
        header = strangers_header(record)
        header[3], header[5] = f"keep {header[3]}", f"delete {header[5]}"
        rows = [dict(zip(header, row, strict=True)) for row in strangers_rows(record, share)]
        first = rows[0]["method"]
        parts += [
            f"{share:.0%} of what sounds; of single strangers only `{first}`:",
            table([row for row in rows if row["stranger"] == MEAN or row["method"] == first]),
        ]
    return parts


def rows_under(*words: str) -> Callable[[list[dict[str, Any]]], list[str]]:
    """A heading and a paragraph over a plain table."""
    return lambda rows: [*words, table([rounded(row) for row in rows])]


TABLES: dict[str, Callable[[Any], list[str]]] = {
    "main": main_tables,
    "others": lambda record: [f"### Other rankings, {record['clips']} clips", shares_table(record)],
    "contaminations": task_tables("### Something as loud as the clip lies over it"),
    "controls": rows_under(
        "### Controls",
        "20 % kept, through the audio, with 95 % intervals. Shifted: moved by half a codec frame. Wrong, forced: a "
        "label that is not in the clip is heard. Above floor: on shuffled weights, minus `magnitude` on the same.",
    ),
    "sanity": sanity_tables,
    "localization": rows_under(
        "### Localization", "The last column is about the clips whose word the trained model recognises."
    ),
    "events": rows_under(
        "### Events",
        "100 ms in which the word in question sounds, against all others and against those of other words.",
    ),
    "bands": rows_under(
        "### Bands", "Rank correlation, and one band at the top, of what a band's loss costs and what is kept of it."
    ),
    "strangers": strangers_tables,
    "tasks": task_tables("### Other tasks"),
}


def markdown(parts: dict[str, Any]) -> str:
    """The figures of the parts that are there, as the tables of a document."""
    return "\n\n".join(line for name, tables in TABLES.items() if name in parts for line in tables(parts[name]))
