"""`audex evaluate`: how faithful explanations are, over a labelled folder."""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audex_jax.io.tensorboard import RunLog

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, and an optional splits.csv; see `audex train --help`.
Every clip is explained for the label that the model predicts. A share of its latent elements, the most important first,
is kept or taken out; what remains is classified as it is (latent), decoded, encoded and classified again (audio), and
the same with the sound moved by half a codec frame (shifted).

What is compared (--methods):
  a ranking            as in `audex explain`, of Integrated Gradients
  a method             elements are ordered by its attribution; `random` is drawn `--seeds` times
  METHOD:RANKING       both, as in saliency:weighted
  waveform-ig spectrum-ig audio-frames waveform-random spectrum-random
                       these silence parts of the decoded sound: samples, bins of its spectrum, frames

--strangers takes explainers, or folders of them, that were trained apart (`audex train --strangers`). Each classifies
the sounds of what latent methods keep and leave, over the first filler, and is compared with what it says of the plain
reconstruction. An explanation that only fits the explained model's own weaknesses means nothing to them.

in DIR:
  fidelity.json      all figures: curves with 95 % intervals over speakers (over clips where one is not known), areas,
                     paired comparisons of the first method with the others, the field's metrics, controls of
                     the first method, what strangers say, settings and versions
  fidelity.parquet   one line a clip, method, filler, seed, level and mode
  curves.png         the picture
The same command after a kill goes on where it was.

examples:
  audex evaluate recordings --model my-explainer --out fidelity --limit 200 --methods matched-mask,magnitude
  audex evaluate recordings --model my-explainer --out fidelity --strangers strangers
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex evaluate` to its parser."""
    from audex_jax.cli.options import add_model, add_options, positive
    from audex_jax.evaluation.plan import Plan

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings")
    add_model(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="split of DATA that is used (default: test)"
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="use N clips, drawn at random with a fixed seed (default: all)"
    )
    add_options(parser, Plan)
    parser.add_argument(
        "--chunk",
        type=positive,
        default=8,
        metavar="N",
        help="edited clips in one batch of the classifier (default: 8)",
    )
    parser.add_argument(
        "--devices",
        type=positive,
        metavar="N",
        help="number of devices; each explains one clip at a time (default: all)",
    )
    parser.add_argument(
        "--strangers", metavar="DIR,...", help="other explainers, or folders of them, that also classify the sounds"
    )
    text = "clips for the controls of the first method: wrong targets, shuffled weights (default: 24)"
    parser.add_argument("--controls", type=int, default=24, metavar="N", help=text)
    parser.add_argument("--tensorboard", metavar="DIR", help="also write figures and curves for TensorBoard to DIR")
    parser.add_argument("--quiet", action="store_true", help="hide progress")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex evaluate`; the exit code."""
    from audex_jax.cli.bundles import model_of
    from audex_jax.cli.options import read_options
    from audex_jax.core.compilation import use_compilation_cache
    from audex_jax.devices.cpu import use_each_core_as_a_device
    from audex_jax.evaluation.folder import evaluate_folder
    from audex_jax.evaluation.outputs import header_of, rows_of, text_table
    from audex_jax.evaluation.plan import Plan
    from audex_jax.io.tensorboard import RunLog

    plan = read_options(Plan, arguments)
    use_each_core_as_a_device()
    use_compilation_cache()
    out = pathlib.Path(arguments.out)
    with RunLog(arguments.tensorboard) as log:
        record = evaluate_folder(
            model_of(arguments),
            arguments.data,
            plan,
            out,
            split=arguments.split,
            limit=arguments.limit,
            chunk=arguments.chunk,
            quiet=arguments.quiet,
            devices=arguments.devices,
            controls=max(0, arguments.controls),
            strangers=tuple(filter(None, (arguments.strangers or "").split(","))),
        )
        log_evaluation(log, record)
    ceiling = record["ceiling"]
    shown = tuple(v for v in (0.1, 0.2, 0.417) if v in plan.levels) or plan.levels[:3]
    print(
        f"{record['clips']} clips; accuracy {ceiling['accuracy']['mean']:.3f}, on the codec's reconstruction "
        f"{ceiling['accuracy_on_reconstruction']['mean']:.3f}; the two agree in "
        f"{ceiling['agreement_on_reconstruction']['mean']:.3f}, the upper limit of `keep` for audio"
    )
    print(text_table(header_of(shown), rows_of(record, shown)))
    print("each cell: latent / audio / audio moved by half a codec frame")
    print("keep: prediction stays, delete: prediction changes (shares of clips)")
    if "controls" in record:
        print_controls(record["controls"])
    if "strangers" in record:
        print_strangers(record["strangers"], shown[len(shown) // 2])
    print(f"{out}: fidelity.json, fidelity.parquet, curves.png ({record['seconds']:.0f} s)")
    return 0


def print_controls(controls: dict[str, Any]) -> None:
    """What the first method makes of wrong targets and of a model that has learnt nothing."""

    def share(name: str) -> str:
        return "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**controls[name])

    kept, clips = controls["settings"]["keep"], controls["wrong"]["clips"]
    print(f"controls of {controls['settings']['ranking']}, {kept:.3g} kept, {clips} clips:")
    print(f"  a label that is not there is heard in {share('wrong')}, forced to it in {share('forced')}")
    for mode in ("keep", "delete"):
        print(f"  shuffled weights, {mode}: {share(mode)}; the loudest elements on these: {share('floor_' + mode)}")


def print_strangers(figures: dict[str, Any], share: float) -> None:
    """What strangers say, at one share."""
    from audex_jax.evaluation.outputs import text_table
    from audex_jax.evaluation.strangers import strangers_header, strangers_rows

    print(f"strangers, {share:.3g} of the elements, filler {figures['filler']}; 95 % over {figures['resampled']}:")
    print(text_table(strangers_header(figures), strangers_rows(figures, share)))


def log_evaluation(log: "RunLog", record: dict[str, Any]) -> None:
    """Curves as scalars, whose step is the share in percent; the ceiling; and the picture."""
    from audex_jax.evaluation.outputs import curves_figure

    for curve in record["curves"]:
        name = f"{curve['mode']}-{curve['domain']}/{curve['method']}-{curve['filler']}"
        for level, agreement in zip(curve["level"], curve["agreement"], strict=True):
            log.scalars(round(100 * level), {name: agreement})
    log.scalars(0, {f"ceiling/{name}": figure["mean"] for name, figure in record["ceiling"].items()})
    log.figure("curves", 0, curves_figure(record))
