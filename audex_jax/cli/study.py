"""`audex study`: a page on which people name what they hear in explanations, and say which one they prefer."""

import argparse
import pathlib

EXAMPLE = """
DATA is a labelled folder (see `audex train --help`; taken evenly from its labels), a plain folder, or `demo`.

in DIR:
  study.html   for listeners: send it by mail or put it anywhere; it needs no network and no server
  key.json     for you: which sound is which method. Keep it; without it the answers cannot be scored

Every listener gets a number (1, 2, 3, ...) and types it in; study.html#listener=7 has it typed in already. It decides
what is heard, so that over listeners every clip is heard by every method equally often. First each clip is heard once
and named, then two explanations of each are compared. Nothing on the page tells the methods apart, and all sounds of a
clip have the same level. Answers stay in the listener's browser, also when the page is closed, until the listener saves
them as a file and sends that to you. `audex study-score` reads these files.

methods: the rankings of `audex explain` and all other methods of `audex evaluate`; ig (short for weighted: Integrated
Gradients in the latent), input-ig (short for waveform-ig: the same of the sound's samples, the paper's other arm),
random, and reconstruction (everything kept: the most that can be understood)

examples:
  audex study demo --out study --listeners 6
  audex study recordings --model my-explainer --methods ig,random,input-ig --out study
  audex study speech --model emotions --question "Which emotion do you hear?" --out study
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex study` to its parser."""
    from audex_jax.cli.options import add_model, add_options
    from audex_jax.study.plan import StudyPlan

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings, or `demo`")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the page and its key")
    add_model(parser)
    add_options(parser, StudyPlan)
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="split of DATA that is used (default: test)"
    )
    parser.add_argument("--quiet", action="store_true", help="hide progress")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex study`; the exit code."""
    from audex_jax.cli.bundles import explainer_of, name_of
    from audex_jax.cli.options import read_options
    from audex_jax.io.progress import COMPILING, Bar
    from audex_jax.study.make import recordings_of, write_study
    from audex_jax.study.plan import StudyPlan

    plan = read_options(StudyPlan, arguments)
    explainer = explainer_of(arguments)
    recordings = recordings_of(arguments.data, arguments.split, plan.seed)
    out = pathlib.Path(arguments.out)
    with Bar("explaining", min(plan.clips, len(recordings)), arguments.quiet, COMPILING) as bar:
        written = write_study(explainer, name_of(arguments), recordings, plan, out, bar.update)
    what = f"{written.clips} clips by {len(plan.methods)} methods, {written.questions} questions for each listener"
    print(f"{written.page}: {what}, numbers 1 to {written.listeners}; keep {written.key}")
    return 0
