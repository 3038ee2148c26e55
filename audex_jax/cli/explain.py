"""`audex explain`: which parts of the sound made the classifier decide."""

import argparse
import pathlib
import sys

EXAMPLE = """
INPUT is a recording (any format that libsndfile reads, 0.1 to 60 s, any rate), a folder of recordings, or `demo` for
the clips that come with the package. Recordings longer than the classifier's clips are explained in segments.

for every input, in DIR:
  NAME.explanation.wav     what mattered: the important elements of the latent, decoded
  NAME.residual.wav        what was left: the same with the important elements taken out
  NAME.reconstruction.wav  what the codec makes of the whole clip
  NAME.attribution.npz     attribution and kept mask of every latent element
  NAME.json                prediction, target, completeness gap, does the explanation still say the same?
  NAME.png                 the picture

examples:
  audex explain demo --out explained
  audex explain recordings/ --out explained --keep 0.1
  audex explain yes.wav --target no --out why-not-no
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from audex_jax.explanation import RANKINGS
    from audex_jax.pipeline import FILLERS, REFINED, Settings

    default = Settings()
    parser.epilog = EXAMPLE
    parser.add_argument("input", nargs="+", metavar="INPUT", help="recordings, folders, or `demo`")
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--model", default="mini-speech-commands", metavar="NAME|DIR", help="explainer (default: mini-speech-commands)"
    )
    parser.add_argument("--target", metavar="LABEL", help="label to explain (default: the predicted one)")
    parser.add_argument(
        "--keep",
        type=float,
        default=default.keep,
        metavar="SHARE",
        help=f"share of the latent elements to keep (default: {default.keep:g})",
    )
    parser.add_argument(
        "--ranking",
        choices=(*RANKINGS, REFINED),
        default=default.ranking,
        help=f"which elements are kept first (default: {default.ranking}; the paper's: signed; refined: corrected by "
        "gradient steps through decoder and classifier, slower)",
    )
    parser.add_argument(
        "--filler",
        choices=FILLERS,
        default=default.filler,
        help=f"what stands where elements were taken out (default: {default.filler}; the paper's: noise)",
    )
    parser.add_argument(
        "--steps",
        type=steps,
        default=default.steps,
        metavar="N|auto",
        help=f"points on the path, or as many as the ranking needs (default: {default.steps})",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise filler (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines instead of text")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def steps(text: str) -> int | str:
    """Value of `--steps`; the name appears in argparse's message for a wrong one."""
    return text if text == "auto" else int(text)


def run(arguments: argparse.Namespace) -> int:
    from audex_jax.cli import UsageError
    from audex_jax.compilation import use_compilation_cache
    from audex_jax.explain_files import explain_files, list_inputs
    from audex_jax.explainer import load_explainer
    from audex_jax.pipeline import Settings
    from audex_jax.progress import track

    use_compilation_cache()
    try:
        settings = Settings(
            keep=arguments.keep,
            ranking=arguments.ranking,
            filler=arguments.filler,
            steps=arguments.steps,
            seed=arguments.seed,
        )
    except ValueError as error:
        raise UsageError(error) from None
    explainer = load_explainer(arguments.model)
    try:
        explainer.target_index(arguments.target)
    except ValueError as error:
        raise UsageError(f"--target: {error}") from None
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    inputs = list_inputs(arguments.input)
    results = explain_files(explainer, inputs, out, arguments.target, settings, arguments.model)
    for result in track(results, "explaining", len(inputs), arguments.quiet or len(inputs) == 1):
        failed += result.error is not None
        if result.error is not None:
            print(f"audex explain: {result.error}", file=sys.stderr)
        elif arguments.json:
            print(result.json_line)
        else:
            print(result.sentence)
    if failed:
        print(f"audex explain: {failed} of {len(inputs)} inputs could not be explained", file=sys.stderr)
    return 1 if failed else 0
