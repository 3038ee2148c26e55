"""What we are compared with: the same weights in PyTorch, as well as PyTorch can be made to run them.

EnCodec is that of `transformers`, loaded from our export; the classifier is a `torch.nn.TransformerEncoder`; Integrated
Gradients are Captum's. Two uses of them: `Job.explain`, in batches, weights folded, no gradient that is not needed; and
`Job.published_levels`, clip by clip and level by level as the published scripts do.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode
from transformers import EncodecModel
from transformers.utils.logging import disable_progress_bar

if TYPE_CHECKING:  # JAX would count in `memory`
    from audex_jax.classifiers.transformer import LatentTransformer
    from audex_jax.codecs.encodec import Encodec
    from audex_jax.explain.step import Model

TOGETHER = (4, 8)  # clips at a time through the codec, to try


class Classifier(nn.Module):
    """The published classifier, `[b, t, d] -> [b, k]`."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]):
        """`config`: the fields of a `TransformerConfig`."""
        super().__init__()
        width = config["width"]
        self.companding = config["companding"]
        self.embedding = nn.Linear(config["dim"], width)
        self.pos_encoder = nn.Parameter(torch.zeros(1, config["frames"], width))
        layer = nn.TransformerEncoderLayer(width, config["heads"], config["feed_forward"], 0.0, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, config["layers"])
        self.output_layer = nn.Linear(width, config["classes"])
        self.load_state_dict(tensors)
        self.eval().requires_grad_(False)  # gradients with respect to its input only

    def forward(self, latent: Tensor) -> Tensor:
        if self.companding:
            latent = torch.asinh(self.companding * latent)
        x = self.embedding(latent) + self.pos_encoder[:, : latent.shape[1]]
        return self.output_layer(self.transformer_encoder(x).mean(1))


def classifier_of(source: "LatentTransformer") -> Classifier:
    """The classifier, ready for gradients with respect to its input."""
    return Classifier(*_description(source))


def _description(source: "LatentTransformer") -> tuple[dict[str, Any], dict[str, Tensor]]:
    from weights_conversion.export import classifier_tensors

    return dataclasses.asdict(source.config), {name: torch.tensor(a) for name, a in classifier_tensors(source).items()}


def codec_of(source: "Encodec", folded: bool = True) -> EncodecModel:
    """EnCodec through our export; `folded` with weight norm multiplied out once, else as `transformers` leaves it."""
    from weights_conversion.export import export_codec

    with tempfile.TemporaryDirectory() as folder:
        export_codec(source, f"{folder}/codec")
        return _codec_from(f"{folder}/codec", folded)


def _codec_from(folder: str, folded: bool) -> EncodecModel:
    disable_progress_bar()
    model = EncodecModel.from_pretrained(folder).eval().requires_grad_(False)
    for module in list(model.modules()) if folded else []:
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    return model


def flops_of(half: nn.Module, given: Tensor, frames: int) -> float:
    """Products and sums of the codec's encoder or decoder as PyTorch makes them, for so many latent frames in all.

    Its own counter knows convolutions; of the LSTM every weight takes part once a frame.
    """
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        half(given)
    cells = [m for m in half.modules() if isinstance(m, nn.LSTM)]
    return counter.get_total_flops() + 2 * frames * sum(w.numel() for m in cells for w in m.parameters() if w.ndim == 2)


def gradients(
    classifier: Callable[..., Tensor], latent: Tensor, target: Tensor, points: int, rows: int | None
) -> Tensor:
    """Captum's Integrated Gradients of `[b, t, d]` from zero, `rows` rows at a time (None: all at once)."""
    return IntegratedGradients(classifier).attribute(
        latent, 0.0, target=target, n_steps=points, internal_batch_size=rows
    )


def sizes_to_try(sizes: Sequence[int], seconds: float, most: int) -> list[int]:
    """How many at a time: `sizes` for clips of a second, fewer as they are longer, 1 at least and `most` at most."""
    return sorted({min(max(1, round(size / max(1.0, seconds))), most) for size in sizes})


def in_parts(half: Callable[[Tensor], Tensor], given: Tensor, together: int | None) -> Tensor:
    """`half(given)` of the codec, so many clips at a time (None: all at once).

    What a layer makes of many clips leaves the caches, and is more than the C library keeps for the next one.
    """
    return torch.cat([half(part) for part in given.split(together or len(given))])


def loudness(audio: Tensor, normalize: bool) -> Tensor | float:
    """What to divide `[b, c, n]` by before it is encoded."""
    if not normalize:
        return 1.0
    return audio.mean(1, keepdim=True).square().mean(2, keepdim=True).sqrt() + 1e-8


class Job:
    """The whole job in PyTorch; `compiled` by `torch.compile`."""

    def __init__(self, codec: EncodecModel, classifier: Classifier, compiled: bool = False):
        networks = codec.encoder, codec.decoder, classifier
        if compiled:
            torch._dynamo.config.recompile_limit = 64  # one for every convolution's shapes; beyond it compiles no more
            networks = tuple(torch.compile(network, dynamic=False) for network in networks)
        self.encoder, self.decoder, self.classifier = networks
        self.normalize = codec.config.normalize

    def encode(self, audio: Tensor, together: int | None = None) -> Tensor:
        """Latent `[b, t, d]` of audio `[b, c, n]`; `together` as in `in_parts`."""
        return in_parts(self.encoder, audio / loudness(audio, self.normalize), together).transpose(1, 2)

    def decode(self, latent: Tensor, together: int | None = None) -> Tensor:
        """Audio `[b, c, n]` of latents `[b, t, d]`, likewise."""
        return in_parts(self.decoder, latent.transpose(1, 2), together)

    def explain(
        self, audio: np.ndarray, points: int, rows: int | None, together: int | None = None, keep: float = 0.2
    ) -> dict[str, Tensor]:
        """What `explain_step` does with clips `[b, n, c]` of full length, ranked as `weighted`, filled with zeros.

        `rows` go through the classifier at a time for Captum, `together` clips through the codec.
        """
        with torch.inference_mode():
            sound = torch.from_numpy(audio).transpose(1, 2)
            latent = self.encode(sound, together)
            logits = self.classifier(latent)
        latent, target = latent.clone(), logits.argmax(1).clone()
        attribution = gradients(self.classifier, latent, target, points, rows)
        with torch.inference_mode():
            mask = top_share((attribution * latent).abs(), keep)
            edited = torch.cat([latent * mask, latent * ~mask])
            edited_logits = self.classifier(edited)
            sounds = self.decode(torch.cat([latent, edited]), together)[..., : sound.shape[2]]
            whole = sounds[: len(sound)]
            gain = loudness(sound, self.normalize) / loudness(whole, self.normalize)
            sounds = (sounds.unflatten(0, (3, -1)) * gain).flatten(0, 1)
            heard = self.classifier(self.encode(sounds, together))
        return {
            "logits": logits,
            "latent": latent,
            "attribution": attribution,
            "mask": mask,
            "edited_logits": edited_logits,
            "sounds": sounds,
            "heard": heard,
        }

    def in_batches(self, audio: np.ndarray, batch: int, in_bfloat16: bool = False, **how) -> list[dict[str, Tensor]]:
        """`explain`, `batch` clips at a time; `in_bfloat16` lets PyTorch round the factors of its products."""
        torch.set_float32_matmul_precision("medium" if in_bfloat16 else "highest")
        try:
            return [self.explain(audio[i : i + batch], **how) for i in range(0, len(audio), batch)]
        finally:
            torch.set_float32_matmul_precision("highest")

    def published_levels(
        self, audio: np.ndarray, levels: Sequence[float], points: int, through_audio: bool
    ) -> list[list[Tensor]]:
        """Logits of each clip at each level; filler (the latent of noise) and attribution are made anew every time."""
        return [[self._level(clip[None], level, points, through_audio) for level in levels] for clip in audio]

    def _level(self, audio: np.ndarray, level: float, points: int, through_audio: bool) -> Tensor:
        with torch.no_grad():
            sound = torch.from_numpy(audio).transpose(1, 2)
            latent = self.encode(sound)
            filler = self.encode(torch.randn_like(sound))
            target = self.classifier(latent).argmax(1)
        attribution = gradients(self.classifier, latent, target, points, None)
        with torch.no_grad():
            kept = torch.where(top_share(attribution, level), latent, filler)
            if through_audio:
                kept = self.encode(self.decode(kept))
            return self.classifier(kept)


def job_of(weights: "Model", folded: bool = True, compiled: bool = False) -> Job:
    """The job on the weights of ours."""
    return Job(codec_of(weights.codec, folded), classifier_of(weights.classifier), compiled)


def export(weights: "Model", folder: str) -> None:
    """Write them for `load`, which a process without JAX can call."""
    from weights_conversion.export import export_codec

    export_codec(weights.codec, f"{folder}/codec")
    torch.save(_description(weights.classifier), f"{folder}/classifier.pt")


def load(folder: str) -> Job:
    """The job on weights that `export` wrote."""
    return Job(_codec_from(f"{folder}/codec", folded=True), Classifier(*torch.load(f"{folder}/classifier.pt")))


def top_share(score: Tensor, share: float) -> Tensor:
    """True for the `share` of each clip's elements with the highest score."""
    flat = score.flatten(1)
    top = flat.topk(round(share * flat.shape[1]), dim=1).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, top, True).view_as(score)
