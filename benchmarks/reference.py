"""What the package is compared with: the same weights in PyTorch, in the fastest form that was found.

EnCodec is that of `transformers`, loaded from our export; the classifier is a `torch.nn.TransformerEncoder`;
Integrated Gradients are Captum's. `Job.explain` works in batches, without gradients that nobody needs;
`Job.published_levels` works clip by clip and level by level, as the published scripts do. Nothing here imports JAX:
its memory would count as PyTorch's.
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import EncodecModel
from transformers.utils.logging import disable_progress_bar


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


def load_classifier(folder: str | pathlib.Path) -> Classifier:
    """The classifier that `subject.export` wrote."""
    config = json.loads(pathlib.Path(folder, "classifier.json").read_text(encoding="utf-8"))
    with np.load(f"{folder}/classifier.npz") as arrays:
        return Classifier(config, {name: torch.from_numpy(array) for name, array in arrays.items()})


def load_codec(folder: str | pathlib.Path, folded: bool = True) -> EncodecModel:
    """The codec that `subject.export` wrote; `folded`: weight norm multiplied out once, not at each call."""
    disable_progress_bar()
    model = EncodecModel.from_pretrained(f"{folder}/codec").eval().requires_grad_(False)
    for module in list(model.modules()) if folded else []:
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    return model


def gradients(
    classifier: Callable[..., Tensor], latent: Tensor, target: Tensor, points: int, rows: int | None
) -> Tensor:
    """Captum's Integrated Gradients of `[b, t, d]` from zero, `rows` rows at a time (None: all at once)."""
    return IntegratedGradients(classifier).attribute(
        latent, 0.0, target=target, n_steps=points, internal_batch_size=rows
    )


def in_parts(half: Callable[[Tensor], Tensor], given: Tensor, together: int | None) -> Tensor:
    """`half(given)` of the codec, so many clips at a time (None: all at once); many at once leave the caches."""
    return torch.cat([half(part) for part in given.split(together or len(given))])


def loudness(audio: Tensor, normalize: bool) -> Tensor | float:
    """What to divide `[b, c, n]` by before it is encoded."""
    if not normalize:
        return 1.0
    return audio.mean(1, keepdim=True).square().mean(2, keepdim=True).sqrt() + 1e-8


class Job:
    """A whole explanation in PyTorch."""

    def __init__(self, folder: str | pathlib.Path, folded: bool = True, compiled: bool = False):
        """The job on the weights that `subject.export` wrote; `compiled` by `torch.compile`."""
        codec = load_codec(folder, folded)
        networks = codec.encoder, codec.decoder, load_classifier(folder)
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
    ) -> dict[str, np.ndarray]:
        """What `explain_step` does with clips `[b, n, c]` of full length, ranking `weighted`, filler `zero`.

        Args:
            audio: the clips.
            points: on the path.
            rows, together: points times clips at a time for Captum, clips at a time through the codec.
            keep: share of the elements to keep.
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
            self.classifier(edited)
            decoded = self.decode(torch.cat([latent, edited]), together)[..., : sound.shape[2]]
            gain = loudness(sound, self.normalize) / loudness(decoded[: len(sound)], self.normalize)
            decoded = (decoded.unflatten(0, (3, -1)) * gain).flatten(0, 1)
            self.classifier(self.encode(decoded, together))
        reconstruction, kept, _ = decoded.transpose(1, 2).numpy().reshape(3, *audio.shape)
        return {
            "probabilities": logits.softmax(1).numpy(),
            "attribution": attribution.numpy(),
            "mask": mask.numpy(),
            "reconstruction": reconstruction,
            "audio": kept,
        }

    def in_batches(self, audio: np.ndarray, batch: int, **how) -> dict[str, np.ndarray]:
        """`explain`, `batch` clips at a time."""
        parts = [self.explain(audio[i : i + batch], **how) for i in range(0, len(audio), batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def published_levels(
        self, audio: np.ndarray, levels: Sequence[float], points: int, through_audio: bool
    ) -> np.ndarray:
        """Logits of each clip at each level `[b, l, k]`; filler and attribution are computed anew for every level."""
        found = [[self._level(clip[None], level, points, through_audio) for level in levels] for clip in audio]
        return np.array(found)

    def _level(self, audio: np.ndarray, level: float, points: int, through_audio: bool) -> np.ndarray:
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
            return self.classifier(kept)[0].numpy()


def top_share(score: Tensor, share: float) -> Tensor:
    """True for the `share` of each clip's elements with the highest score."""
    flat = score.flatten(1)
    top = flat.topk(round(share * flat.shape[1]), dim=1).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, top, True).view_as(score)
