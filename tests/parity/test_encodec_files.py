"""Files written by `transformers` come in, and what `audex export` writes goes back into `transformers`."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.encodec import segments
from audex_jax.codecs.encodec.config import MINI, TINY

pytestmark = pytest.mark.parity

SMALL = {
    "num_filters": 4,
    "hidden_size": 8,
    "codebook_size": 16,
    "target_bandwidths": [1.2, 2.4],
    "upsampling_ratios": [8, 5],
}


@pytest.mark.parametrize("norm", ["weight_norm", "time_group_norm"])
def test_saved_checkpoints_are_converted(encodec_reference, norm, tmp_path, normal, run_torch, relative_error):
    model = encodec_reference(**SMALL, norm_type=norm, use_causal_conv=False)
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    for layout in ("whole", "sharded"):
        assert main(["convert", str(tmp_path / layout), str(tmp_path / f"{layout}-bundle")]) == 0
    whole, again = (
        (tmp_path / f"{layout}-bundle" / "codec.safetensors").read_bytes() for layout in ("whole", "sharded")
    )
    assert whole == again
    codec = bundles.load_codec(tmp_path / "whole-bundle")
    audio = normal(2, 321, 1)
    assert relative_error(codec.encoder(audio), run_torch(model.encoder, audio)) <= 1e-5


@pytest.mark.parametrize("config", [TINY, MINI], ids=lambda c: c.name)
def test_exported_codecs_sound_the_same_in_transformers(config, codec_of, tmp_path, normal, relative_error):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    codec = codec_of(config)
    bundles.save_codec(tmp_path / "bundle", codec, {})
    assert main(["export", str(tmp_path / "bundle"), str(tmp_path / "hf")]) == 0
    model, report = transformers.EncodecModel.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(report.values()), report
    audio = normal(2, 1000, config.channels)
    bandwidth = config.bandwidths[1]
    with torch.no_grad():
        out = model.eval()(torch.tensor(np.asarray(audio)).transpose(1, 2), bandwidth=bandwidth)
    encoded = segments.encode_segments(codec, audio)
    codes = codec.codes(encoded[0].latent, bandwidth)
    np.testing.assert_array_equal(codes, out.audio_codes[0].transpose(1, 2).numpy())
    ours = segments.reconstruct(codec, audio, bandwidth)
    assert relative_error(ours, out.audio_values.transpose(1, 2)) <= 1e-5
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "hf")
    assert extractor.sampling_rate == config.sample_rate
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["sampling_rate"] == config.sample_rate


def test_classifier_gives_the_same_logits(normal, relative_error):
    torch = pytest.importorskip("torch")
    from weights_conversion import convert_classifier
    from weights_conversion.sources import Source

    class Reference(torch.nn.Module):
        """The published classifier's build, in small."""

        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Linear(6, 16)
            self.pos_encoder = torch.nn.Parameter(torch.randn(1, 9, 16))
            layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
            self.transformer_encoder = torch.nn.TransformerEncoder(layer, 2)
            self.output_layer = torch.nn.Linear(16, 5)

        def forward(self, latent):
            return self.output_layer(self.transformer_encoder(self.embedding(latent) + self.pos_encoder).mean(1))

    torch.manual_seed(0)
    reference = Reference().eval()
    tensors = {name: tensor.numpy() for name, tensor in reference.state_dict().items()}
    classifier = convert_classifier(Source("SC_transformer.pth", tensors, None, {}), heads=4)
    latent = normal(9, 6)
    with torch.no_grad():
        expected = reference(torch.tensor(np.asarray(latent))[None])[0]
    assert relative_error(classifier(latent, jnp.ones(9, bool)), expected) <= 1e-5
