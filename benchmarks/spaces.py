"""Can a classifier of audio be explained in a latent that it has never seen, and in which one?

    python -m benchmarks.spaces DATA --model DIR [--second DIR] [--spaces mini-speech-commands,mdct:16000] [--limit 100]

DIR is an explainer whose classifier reads audio, for example `audex train DATA --classifier log-mel --out DIR`. Its
classifier is explained in the latent of each codec, with its gradient and, as `masked-regression`, without. Shares of
test clips, through the audio: what is kept gets the label of the recording, without it the label is lost; the same of
the clips whose plain reconstruction has that label, and as a second explainer classifies the sounds, compared with
itself on the plain reconstruction.
"""

import time
from typing import Any

import jax.numpy as jnp
import numpy as np

from audex_jax.bundles import load_explainer, open_codec
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.evaluation.blocks import BATCH, explain_all
from audex_jax.evaluation.folder import clips_of
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model, classify_audio
from audex_jax.explain.result import Explanation
from benchmarks.measure import parser_for, report

WAYS = {
    "default": Settings(),
    "weighted": Settings(ranking="weighted"),
    "magnitude": Settings(ranking="magnitude", method="magnitude"),
    "random": Settings(ranking="signed", method="random"),
    "without gradient": Settings(method="masked-regression", ranking="evolved-mask"),
}
SHARES = (0.1, 0.2)


def in_space(explainer: Explainer, codec: Any) -> Explainer:
    """The same classifier, explained in the latent of another codec of its sample rate."""
    model = Model(codec, explainer.model.classifier, jnp.zeros(codec.dim))
    return Explainer(model, explainer.labels, explainer.clip_seconds)


def classes(explainer: Explainer, sounds: list[np.ndarray]) -> np.ndarray:
    """Class that an explainer gives each sound."""
    found = []
    for first in range(0, len(sounds), BATCH):
        some = sounds[first : first + BATCH]
        audio, lengths = map(jnp.asarray, explainer.pad(some + some[:1] * (BATCH - len(some))))
        found.append(np.asarray(classify_audio(explainer.model, audio, lengths).argmax(-1))[: len(some)])
    return np.concatenate(found)


def at_share(
    explainer: Explainer, clips: list[np.ndarray], explained: list[Explanation], share: float
) -> list[Explanation]:
    """The explanations at another share, in batches of one size."""
    found: list[Explanation] = []
    for first in range(0, len(clips), BATCH):
        some, some_explained = clips[first : first + BATCH], explained[first : first + BATCH]
        missing = BATCH - len(some)
        filled = some + some[:1] * missing, some_explained + some_explained[:1] * missing
        found += explainer.resynthesize(share, *filled)[: len(some)]
    return found


def row(explained: list[Explanation], second: Explainer | None) -> dict[str, float]:
    """Shares of clips."""
    agrees, kept, lost = (
        np.array([getattr(e, name) for e in explained]) for name in ("reconstruction_agrees", "sufficient", "necessary")
    )
    found = {"reconstruction": agrees.mean(), "keep": kept.mean(), "delete": lost.mean()}
    found |= {"keep, of agreeing": kept[agrees].mean(), "delete, of agreeing": lost[agrees].mean()}
    if second is not None:
        whole, explanation, residual = (
            classes(second, [getattr(e, name) for e in explained]) for name in ("reconstruction", "audio", "residual")
        )
        found |= {"keep, second": (explanation == whole).mean(), "delete, second": (residual != whole).mean()}
    return {name: float(value) for name, value in found.items()}


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("spaces", __doc__, timed=False)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--second", metavar="DIR")
    parser.add_argument("--spaces", default="mini-speech-commands,mdct:16000")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--limit", type=int, default=100)
    given = parser.parse_args(argv)
    use_compilation_cache()
    explainer = load_explainer(given.model)
    second = load_explainer(given.second) if given.second else None
    files = clips_of(explainer, given.data, "test", 4 if given.small else given.limit)
    read = read_clips([file.path for file in files], explainer.sample_rate, quiet=True)
    clips = [clip[: explainer.clip_samples] for clip in read]
    rows: list[dict[str, Any]] = []
    for space in given.spaces.split(","):
        own = in_space(explainer, open_codec(space))
        for name in given.ways.split(","):
            list(explain_all(own, clips[:1], WAYS[name]))  # compiled before it is timed
            started = time.perf_counter()
            explained: list[Explanation] = list(explain_all(own, clips, WAYS[name]))
            seconds = (time.perf_counter() - started) / len(clips)
            for share in SHARES:
                found = row(at_share(own, clips, explained, share), second)
                rows.append({"space": space, "way": name, "share": share} | found | {"seconds": seconds})
                print(
                    "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()),
                    flush=True,
                )
    report(given, {"clips": len(clips), "rows": rows})


if __name__ == "__main__":
    main()
