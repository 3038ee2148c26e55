"""`audex explain`: which parts of the sound made the classifier decide."""

import argparse
import pathlib
import sys

EXAMPLE = """
INPUT is a recording of at least 0.1 s (any rate, any format that libsndfile reads; m4a, mp4, webm and the like with
pip install 'audex-jax[formats]'), a folder of recordings, or `demo` for the clips that come with the package.
Recordings longer than the classifier's clips, up to 17 minutes of mono at 16 kHz, are explained in segments.

for every input, in DIR:
  NAME.explanation.wav     the most important elements of the latent, decoded
  NAME.residual.wav        the latent without them, decoded
  NAME.reconstruction.wav  the whole latent, decoded
  NAME.attribution.npz     attribution, score and mask of every latent element; with --report or --figure also the
                           occlusion map: what the logit loses without each block of 0.1 s and one of 10 mel bands
  NAME.json                prediction, target, verdict, and what it rests on
  NAME.png                 the picture: spectrograms of all four sounds, and the evidence (or .pdf, .svg by --figure)
and with --report:
  report.html              one page to hear and see them all, without network
  NAME.explanation-5.wav, NAME.residual-5.wav, ...   the same with 5 % kept, for each of --levels

examples:
  audex explain demo --out explained --report
  audex explain recordings/ --out explained --keep 0.1
  audex explain yes.wav --target no --out why-not-no
  audex explain yes.wav --versus left --out why-yes-rather-than-left
  audex explain yes.wav --out paper --figure pdf --figure-width single
  audex explain dog.wav --classifier hf:my-folder --out explained
  audex explain dog.wav --classifier model.onnx --labels labels.txt --rate 16000 --out explained
"""

FIGURES = ("png", "pdf", "svg")
LEVELS = (0.05, 0.1, 0.2, 0.4)  # of the report's slider


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex explain` to its parser."""
    from audex_jax.cli.options import add_model, add_options
    from audex_jax.core.settings import Settings

    parser.epilog = EXAMPLE
    parser.add_argument("input", nargs="+", metavar="INPUT", help="recordings, folders, or `demo`")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    add_model(parser)
    parser.add_argument(
        "--target",
        metavar="LABEL",
        help="label to explain, for some outputs LABEL@BEGIN-END (default: the predicted one)",
    )
    text = "label to explain it against: why the one rather than the other (default: against all)"
    parser.add_argument("--versus", metavar="LABEL", help=text)
    add_options(parser, Settings, group="how to explain")
    text = "do not ask the same method for a label that is not there; takes half the time"
    parser.add_argument("--no-control", action="store_false", dest="control", help=text)
    parser.add_argument(
        "--report", action="store_true", help="also write DIR/report.html, a page with sounds and pictures"
    )
    parser.add_argument(
        "--assets", action="store_true", help="write the report's sounds to a folder beside it, not into it"
    )
    text = "percentages to keep that the report's slider offers (default: 5,10,20,40)"
    parser.add_argument("--levels", type=percentages, metavar="A,B,...", help=text)
    text = "format of the picture (default: png); with this option it shows the occlusion map"
    parser.add_argument("--figure", choices=FIGURES, help=text)
    text = "width of the picture, one or two columns of a journal (default: double)"
    parser.add_argument("--figure-width", choices=("double", "single"), default="double", help=text)
    parser.add_argument("--json", action="store_true", help="print the results as JSON lines")
    parser.add_argument("--quiet", action="store_true", help="hide progress")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex explain`; the exit code."""
    from audex_jax.cli.bundles import explainer_of, name_of
    from audex_jax.cli.options import read_options
    from audex_jax.cli.report import make_page
    from audex_jax.core.settings import Settings
    from audex_jax.data.inputs import list_inputs
    from audex_jax.io.progress import COMPILING, track
    from audex_jax.report.files import explain_files
    from audex_jax.report.folder import Drawing

    settings = read_options(Settings, arguments)
    levels = arguments.levels or (LEVELS if arguments.report else ())
    explainer = explainer_of(arguments)
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    inputs = list_inputs(arguments.input)
    how = (arguments.target, settings, name_of(arguments), levels, arguments.versus, arguments.control)
    shown = bool(arguments.report or arguments.figure)
    drawing = Drawing(arguments.figure or "png", arguments.figure_width)
    results = explain_files(explainer, inputs, out, *how, shown, drawing)
    quiet = arguments.quiet or (len(inputs) == 1 and not sys.stderr.isatty())
    for result in track(results, "explaining", len(inputs), quiet, COMPILING):
        failed += result.error is not None
        if result.error is not None:
            print(f"audex explain: {result.error}", file=sys.stderr)
        elif arguments.json:
            print(result.json_line)
        else:
            print(result.sentence)
    if failed:
        print(f"audex explain: {failed} of {len(inputs)} inputs could not be explained", file=sys.stderr)
    if arguments.report and failed < len(inputs):
        said, unusable = make_page(out, out / "report.html", arguments.assets, quiet=arguments.quiet)
        failed += unusable
        print(said, file=sys.stderr if arguments.json else sys.stdout)
    return 1 if failed else 0


def percentages(text: str) -> tuple[float, ...]:
    """Shares of kept elements out of a list of percentages, for argparse."""
    try:
        levels = tuple(float(percent) / 100 for percent in text.split(","))
    except ValueError:
        levels = (0.0,)
    if not all(0 < level <= 1 for level in levels):
        raise argparse.ArgumentTypeError(f"{text}: give percentages above 0 and up to 100, as in 5,10,20,40")
    return levels
