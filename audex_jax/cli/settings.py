"""How to explain: the options of `audex explain` and `audex batch`, and what they say."""

import argparse

from audex_jax.core.settings import FILLERS, PRECISIONS, RANKING_NAMES, REFINED, Settings

FIELDS = ("keep", "ranking", "filler", "steps", "precision", "seed")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--target` and an option for each of `FIELDS`; their defaults are those of `Settings`."""
    default = Settings()
    add = parser.add_argument_group("what to explain, and how").add_argument
    add("--target", metavar="LABEL", help="label to explain (default: the predicted one)")
    add(
        "--keep",
        type=float,
        default=default.keep,
        metavar="SHARE",
        help=f"share of the latent elements to keep (default: {default.keep:g})",
    )
    add(
        "--ranking",
        choices=(*RANKING_NAMES, REFINED),
        default=default.ranking,
        help=f"which elements are kept first (default: {default.ranking}; the paper's: signed; refined: corrected by "
        "gradient steps through decoder and classifier, slower)",
    )
    add(
        "--filler",
        choices=FILLERS,
        default=default.filler,
        help=f"what stands where elements were taken out (default: {default.filler}; the paper's: noise)",
    )
    add(
        "--steps",
        type=steps,
        default=default.steps,
        metavar="N|auto",
        help=f"points on the path, or as many as the ranking needs (default: {default.steps})",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default=default.precision,
        help=f"of the products in the path's gradients (default: {default.precision}; many processors are faster in "
        "bfloat16)",
    )
    add(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help=f"of the noise filler (default: {default.seed})",
    )


def steps(text: str) -> int | str:
    """Value of `--steps`; the name appears in argparse's message for a wrong one."""
    return text if text == "auto" else int(text)


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that the options ask for.

    Raises:
        AudexError: a value that `Settings` refuses.
    """
    return Settings(**{name: getattr(arguments, name) for name in FIELDS})
