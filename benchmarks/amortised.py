"""What does an explanation cost by ranking, measured in encoding and decoding the clip?

    python -m benchmarks.amortised [--subject bundled] [--batch 8] [--json FILE]

`sound` is an explanation that nobody judges: encode, classify, ask the mask network, decode what it keeps. `amortised`,
`weighted` and the default are whole steps, in which three sounds are decoded, encoded twice and classified.
"""

import functools
from typing import Any

import jax

from audex_jax.core.settings import AMORTISED, Settings
from audex_jax.core.types import Audio
from audex_jax.explain import step
from audex_jax.explain.model import Model, decode_clips, encode_and_classify, filler_latent
from audex_jax.masking.edit import edit
from benchmarks.measure import in_turns, parser_for, report, show, times_faster
from benchmarks.subject import SUBJECTS, clips_of, explainer_of

RANKINGS = (AMORTISED, "weighted", Settings.ranking)


def sound_of(model: Model, audio: Audio, lengths: jax.Array) -> Audio:
    """What the mask network keeps of clips `[b, n, c]`, decoded, and nothing else."""
    clips = encode_and_classify(model, audio, lengths)
    settings = Settings(ranking=AMORTISED)
    filler = filler_latent(model, clips.latent.shape[1], settings)

    def kept(clip: Any) -> jax.Array:
        score = step.rank(model, clip, settings, clip.latent, filler)
        return edit(clip.latent, score, clip.valid, clip.sounding, settings.keep, filler).kept

    return decode_clips(model.codec, jax.vmap(kept)(clips), lengths, audio.shape[1])


def round_trip(model: Model, audio: Audio, lengths: jax.Array) -> Audio:
    """Clips encoded and decoded."""
    return decode_clips(model.codec, model.codec.encode(audio, lengths), lengths, audio.shape[1])


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("amortised", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="bundled")
    parser.add_argument("--batch", type=int, default=8, help="clips of a second at once")
    arguments = parser.parse_args(argv)
    if arguments.small:
        arguments.subject, arguments.batch = "tiny", 2
    explainer = explainer_of(arguments.subject)
    audio, lengths = explainer.pad(list(clips_of(explainer, arguments.batch)))
    given = jax.device_put((explainer.model, audio, lengths))
    target = jax.numpy.full(arguments.batch, -1)
    runs: dict[str, Any] = {
        "encode + decode": functools.partial(jax.jit(round_trip), *given),
        "sound": functools.partial(jax.jit(sound_of), *given),
    }
    for name in RANKINGS:
        settings = explainer.suited(Settings(ranking=name))
        runs[name] = functools.partial(step.explain_step, *given, target, settings)
    found = in_turns(runs, arguments.repeats, in_a_loop=True)
    first = found["encode + decode"]
    rows = [
        {"program": name, "ms a clip": 1e3 * t.median / arguments.batch, "of encode + decode": times_faster(first, t)}
        for name, t in found.items()
    ]
    show(f"{arguments.subject}, {arguments.batch} clips of a second", rows)
    report(arguments, {"rows": rows})


if __name__ == "__main__":
    main()
