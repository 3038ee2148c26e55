"""`audex check`: before anyone trusts explanations of a new codec, classifier or corpus."""

import argparse

EXAMPLE = """
Asks what is known to go wrong: a codec that loses what the classifier listens to, a classifier that guesses;
explanations that do not keep the prediction, that fall apart when their sound is moved by half a codec frame, that make
any label heard that they are asked for, that a model of shuffled weights gets as well, that are no better than the
loudest elements, that cannot be heard; a classifier that gives one answer to whatever is edited. With --strangers, that
other classifiers do not hear. One line each, with its figure. Exit code 0 if all is well, 1 if not.

examples:
  audex check my-explainer recordings --limit 200
  audex check my-explainer recordings --ranking adversarial-mask    what a way that explains nothing looks like
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex check` to its parser."""
    from audex_jax.cli.options import add_options, add_source, positive
    from audex_jax.core.settings import Settings

    parser.epilog = EXAMPLE
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="name or folder of an explainer, or a classifier as for `audex explain --classifier`",
    )
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings; see `audex train --help`")
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test"), help="split of DATA that is used (default: test)"
    )
    parser.add_argument(
        "--limit", type=positive, default=200, metavar="N", help="largest number of clips (default: 200)"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the findings to FILE")
    text = "explainers trained apart, or folders of them; see `audex train --strangers`"
    parser.add_argument("--strangers", metavar="DIR,...", help=text)
    parser.add_argument("--quiet", action="store_true", help="hide progress")
    add_source(parser)
    only = ("keep", "method", "ranking", "filler", "mask_steps", "budget")
    add_options(parser, Settings, group="how to explain", only=only)


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex check`; the exit code."""
    import dataclasses

    from audex_jax.cli.bundles import explainer_of, require_suffix
    from audex_jax.cli.options import read_options
    from audex_jax.core.settings import Settings
    from audex_jax.evaluation.check import check
    from audex_jax.evaluation.folder import clips_of
    from audex_jax.evaluation.outputs import write_json
    from audex_jax.evaluation.strangers import open_strangers

    if arguments.json is not None:
        require_suffix(arguments.json, (".json",), "--json")
    explainer = explainer_of(arguments)
    files = clips_of(explainer, arguments.data, arguments.split, arguments.limit)
    strangers = open_strangers([place for place in (arguments.strangers or "").split(",") if place])
    settings = read_options(Settings, arguments)
    findings = check(explainer, files, settings, strangers, quiet=arguments.quiet)
    for finding in findings:
        print(f"{'ok  ' if finding.fine else 'FAIL'} {finding.question} {finding.answer}")
    bad = sum(not finding.fine for finding in findings)
    print("nothing known speaks against explanations of this model" if not bad else f"{bad} of {len(findings)} fail")
    if arguments.json is not None:
        write_json(arguments.json, {"findings": [dataclasses.asdict(finding) for finding in findings]})
    return 1 if bad else 0
