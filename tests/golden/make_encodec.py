"""Makes the golden arrays of this folder: a small random EnCodec of each kind, and what `transformers` makes of it.

    python tests/golden/make_encodec.py        (needs the `parity` extra)

Each `.npz` holds the weights under Hugging Face's names (`weights/...`), the config (`config`, JSON), audio
`[b, n, c]`, the latent `[b, t, d]` and the loudness scale of its first segment, the codes `[segments, b, t, q]` of all
segments at the largest bandwidth, the audio decoded from them, and the versions that made it (`made_with`).
"""

import json
import pathlib

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent
SMALL = {"num_filters": 2, "hidden_size": 6, "upsampling_ratios": [5, 2], "codebook_size": 16, "sampling_rate": 1000}
SMALL |= {"target_bandwidths": [0.4, 0.8, 1.6]}
KINDS = {
    "causal": {},
    "identity": {"use_causal_conv": False, "use_conv_shortcut": False, "upsampling_ratios": [4, 4]},
    "segmented": {
        "use_causal_conv": False,
        "norm_type": "time_group_norm",
        "audio_channels": 2,
        "normalize": True,
        "chunk_length_s": 0.1,
        "overlap": 0.1,
    },
}
SAMPLES = 190  # with segments of 100 samples every 90: three of them, the last of 10


def make(kind: str, seed: int = 7) -> None:
    torch.manual_seed(seed)
    config = transformers.EncodecConfig(**(SMALL | KINDS[kind]))
    model = transformers.EncodecModel(config).eval()
    with torch.no_grad():
        for layer in model.quantizer.layers:
            layer.codebook.embed.normal_(0, 0.3)
        for name, parameter in model.named_parameters():
            if name.endswith(("original0", "norm.weight")):
                parameter.mul_(0.7 + 0.6 * torch.rand(parameter.shape))
        audio = torch.randn(2, config.audio_channels, SAMPLES) * torch.linspace(0.1, 1, SAMPLES)
        first = audio[..., : config.chunk_length or SAMPLES]
        scale = first.mean(1, keepdim=True).square().mean(2, keepdim=True).sqrt() + 1e-8
        scale = scale if config.normalize else torch.ones_like(scale)
        bandwidth = config.target_bandwidths[-1]
        encoded = model.encode(audio, bandwidth=bandwidth)
        decoded = model(audio, bandwidth=bandwidth).audio_values
        latent = model.encoder(first / scale)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "seed": seed}
    np.savez_compressed(
        FOLDER / f"encodec_{kind}.npz",
        config=config.to_json_string(),
        made_with=json.dumps(versions),
        audio=audio.transpose(1, 2).numpy(),
        latent=latent.transpose(1, 2).numpy(),
        scale=scale.numpy(),
        codes=encoded.audio_codes.transpose(2, 3).numpy().astype(np.uint8),
        decoded=decoded.transpose(1, 2).numpy(),
        **{f"weights/{name}": tensor.numpy() for name, tensor in model.state_dict().items()},
    )


if __name__ == "__main__":
    for kind in KINDS:
        make(kind)
