"""`audex check`: before anyone trusts explanations of a new codec, classifier or corpus."""

import argparse

EXAMPLE = """
Asks what is known to go wrong: a codec that loses what the classifier listens to, a classifier that guesses;
explanations that do not keep the prediction, that are no better than random ones or those of the waveform, that cannot
be heard, that a model of shuffled weights would get too; a classifier that gives one answer to whatever is edited. One
line each, with its figure. Exit code 0 if all is well, 1 if not.

example:
  audex check my-explainer recordings --limit 200
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex check` to its parser."""
    from audex_jax.cli.options import positive

    parser.epilog = EXAMPLE
    parser.add_argument("model", metavar="MODEL", help="explainer, by name or folder")
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings; see `audex train --help`")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="(default: test)")
    parser.add_argument("--limit", type=positive, default=200, metavar="N", help="at most N clips (default: 200)")
    parser.add_argument("--json", metavar="FILE", help="write the findings there as well")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex check`; the exit code."""
    import dataclasses

    from audex_jax.cli.bundles import explainer_of, require_suffix
    from audex_jax.evaluation.check import check
    from audex_jax.evaluation.folder import clips_of
    from audex_jax.evaluation.outputs import write_json

    if arguments.json is not None:
        require_suffix(arguments.json, (".json",), "--json")
    explainer = explainer_of(arguments)
    findings = check(
        explainer, clips_of(explainer, arguments.data, arguments.split, arguments.limit), 16, arguments.quiet
    )
    for finding in findings:
        print(f"{'ok  ' if finding.fine else 'FAIL'} {finding.question} {finding.answer}")
    bad = sum(not finding.fine for finding in findings)
    print("nothing known speaks against explanations of this model" if not bad else f"{bad} of {len(findings)} fail")
    if arguments.json is not None:
        write_json(arguments.json, {"findings": [dataclasses.asdict(finding) for finding in findings]})
    return 1 if bad else 0
