"""A PyTorch module is explained as the same function in JAX is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.adapters.explainers import explain_model, for_waveform, from_torch
from audex_jax.attribution.controls import shuffled_weights
from audex_jax.bundles import digest
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings

torch = pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = pytest.mark.parity
LABELS = ("a", "b", "c")
HOP = 20


class Frames(torch.nn.Module):
    """Blocks of samples, a layer with dropout, energies, logits."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.dropout, self.out = torch.nn.Linear(HOP, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)

    def forward(self, audio):
        blocks = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 20)).reshape(len(audio), -1, 20)  # `HOP`
        return 20 * self.out(self.dropout(torch.tanh(self.first(blocks))).square().mean(1))


def in_jax(params, audio, length):
    blocks = jnp.pad(audio[:, 0], (0, -len(audio) % HOP)).reshape(-1, HOP)
    hidden = jnp.square(jnp.tanh(blocks @ params["first.weight"].T + params["first.bias"])).mean(0)
    return 20 * (hidden @ params["out.weight"].T + params["out.bias"])


@pytest.fixture
def clip(rng) -> np.ndarray:
    clip = 0.3 * rng.normal(size=400).astype(np.float32)
    clip[100:200] *= 5
    return clip


def test_attributions_are_those_of_jax(clip):
    module = Frames().train()
    params = {name: jnp.asarray(value.numpy()) for name, value in module.state_dict().items()}
    settings = Settings(steps=8, mask_steps=2)
    (ours,) = from_torch(module, LABELS, 1000, clip_seconds=0.4).explain_clips([clip], settings=settings)
    (jaxs,) = for_waveform(in_jax, LABELS, params=params, sample_rate=1000, clip_seconds=0.4).explain_clips(
        [clip], settings=settings
    )
    np.testing.assert_allclose(ours.attribution, jaxs.attribution, rtol=1e-3, atol=1e-5)
    assert (ours.mask != jaxs.mask).mean() < 0.01
    assert module.dropout.training  # evaluated without dropout, and left as it was


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_the_short_way_and_torchscript(clip):
    found = [
        explain_model(module, clip, LABELS, sample_rate=1000, settings={"ranking": "weighted", "steps": 4})
        for module in (Frames(), torch.jit.script(Frames()))
    ]
    np.testing.assert_allclose(found[0].attribution, found[1].attribution, rtol=1e-4, atol=1e-6)


def test_shuffled_weights_are_another_model(clip):
    model = from_torch(Frames(), LABELS, 1000, clip_seconds=0.4).model
    other = shuffled_weights(model.classifier, jax.random.key(0))
    own = np.asarray(clip)[None]
    assert np.abs(other.function(own) - model.classifier.function(own)).max() > 1e-3
    assert other.fingerprint != model.classifier.fingerprint


def test_digests_tell_weights():
    one, same, other = (from_torch(Frames(), LABELS, 1000) for _ in range(3))
    with torch.no_grad():
        other.model.classifier.function.module.out.bias.add_(1)
    again = from_torch(other.model.classifier.function.module, LABELS, 1000)
    assert digest(one) == digest(same) != digest(again)


def test_a_module_without_gradient_is_refused():
    class Rounded(Frames):
        def forward(self, audio):
            return super().forward(audio).detach()

    with pytest.raises(AudexError, match=r"finds no gradient.*gradient='none'"):
        from_torch(Rounded(), LABELS, 1000)
