"""Where a classifier of one's own comes from: names and numbers only, for the command line and for other processes."""

import dataclasses
import pathlib

from audex_jax.core.settings import check_choices, option

OUTPUTS = ("logits", "probabilities", "independent-logits", "independent-probabilities")
FILES = (".onnx", ".pt", ".pth", ".ts")  # ONNX and TorchScript


@dataclasses.dataclass(frozen=True)
class Source:
    """A classifier that is no bundle, as `adapters.open.open_explainer` opens it.

    Attributes:
        classifier: `hf:FOLDER_OR_ID`, a `.onnx` file, a TorchScript file (`.pt`), or `package.module:name`; None for
            none.
        labels: a file with a label a line, or the labels with commas between them.
        rate: sample rate that the classifier takes, in Hz.
        codec: space of the explanation.
        output: what the classifier returns.
        clip_seconds: longest clip that is explained in one piece; None for what the classifier takes, up to 5 s.
        label, between: which of several independent labels, and which seconds, are explained.
    """

    classifier: str | None = option(
        None, "your own: hf:FOLDER, MODEL.onnx, MODEL.pt (TorchScript), or package.module:name", metavar="SOURCE"
    )
    labels: str | None = option(None, "its labels: a file with one a line, or A,B,...", metavar="FILE")
    rate: int | None = option(None, "sample rate that it takes, in Hz", metavar="HZ")
    codec: str = option("mdct", "space of the explanation: mdct loses nothing; or a bundle", metavar="NAME|DIR")
    output: str = option("logits", "what it returns", OUTPUTS)
    clip_seconds: float | None = option(
        None, "longest clip that is explained in one piece (default: what it takes, up to 5 s)", metavar="SECONDS"
    )
    label: str | None = None
    between: tuple[float, float] | None = None

    def __post_init__(self):
        check_choices(self)


def is_source(name: str) -> bool:
    """Whether a name is one of a classifier rather than of a bundle.

    >>> is_source("hf:folder"), is_source("mini-speech-commands")
    (True, False)
    """
    path = pathlib.Path(name)
    return not path.is_dir() and (":" in name or path.suffix.lower() in FILES)
