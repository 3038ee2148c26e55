"""Makes the golden arrays of Mimi: a small random one of each dialect, and what its makers' code makes of it.

    python tests/golden/make_mimi.py        (needs the `parity` extra; and moshi: pip install --no-deps moshi einops)

Each `.npz` holds the weights under that dialect's names (`weights/...`), the config as Hugging Face writes it
(`config`, JSON), audio `[b, n, c]`, the encoder's frames `[b, t, w]`, codes `[b, t, q]` of all codebooks, the audio
decoded from them, and the versions that made it (`made_with`). The two differ in how a begun frame is padded:
`transformers` pads layer by layer, moshi the clip. There are more frames than the transformers' context holds.
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import types

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent
SMALL = {
    "sampling_rate": 1000,
    "num_filters": 2,
    "upsampling_ratios": [5, 2],
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 12,
    "sliding_window": 5,
    "codebook_size": 16,
    "codebook_dim": 3,
    "vector_quantization_hidden_dimension": 3,
    "num_quantizers": 4,
    "upsample_groups": 8,
}
SAMPLES, SEED = 187, 7


def randomise(model: torch.nn.Module) -> None:
    """Random numbers where the first values are constant: norms, scales of layers, biases, codebooks."""
    for name, parameter in model.named_parameters():
        if "scale" in name or ("norm" in name and name.endswith("weight")):
            parameter.copy_(0.2 + 0.6 * torch.rand(parameter.shape))
        elif name.endswith("bias"):
            parameter.copy_(0.1 * torch.randn(parameter.shape))
    for name, buffer in model.named_buffers():
        if name.endswith(("embed_sum", "embedding_sum")):
            buffer.normal_(0, 0.7)
        elif name.endswith("cluster_usage"):
            buffer.copy_(0.3 + torch.rand(buffer.shape))
        elif name.endswith("initialized"):
            buffer.fill_(1)


def of_transformers():
    """The model, and its ways from audio to frames, to codes, and from codes to audio, channels first."""
    model = transformers.MimiModel(transformers.MimiConfig(**SMALL)).eval()
    return (
        model,
        lambda audio: model.encoder(audio).latents,
        lambda audio: model.encode(audio).audio_codes,
        lambda codes: model.decode(codes).audio_values,
    )


def of_moshi():
    """Likewise, of Kyutai's own code."""
    os.environ["NO_TORCH_COMPILE"] = "1"
    for name in ("sentencepiece", "sphn"):  # of its language model
        vars(sys.modules.setdefault(name, types.ModuleType(name))).setdefault("SentencePieceProcessor", object)
    from moshi.models import loaders

    width, books = SMALL["hidden_size"], SMALL["codebook_dim"]
    config = {
        "channels": 1,
        "sample_rate": SMALL["sampling_rate"],
        "frame_rate": SMALL["sampling_rate"] / 20,
        "seanet": loaders._seanet_kwargs | {"dimension": width, "n_filters": SMALL["num_filters"], "ratios": [5, 2]},
        "transformer": loaders._transformer_kwargs
        | {
            "d_model": width,
            "input_dimension": width,
            "output_dimensions": [width],
            "num_heads": SMALL["num_attention_heads"],
            "num_layers": SMALL["num_hidden_layers"],
            "context": SMALL["sliding_window"],
            "dim_feedforward": SMALL["intermediate_size"],
        },
        "quantizer": {"dimension": books, "n_q": 4, "bins": 16, "input_dimension": width, "output_dimension": width},
    }
    model = loaders.get_mimi(None, config, num_codebooks=SMALL["num_quantizers"]).eval()
    return model, model._encode_to_unquantized_latent, model.encode, model.decode


def make(dialect: str, package: str) -> None:
    torch.manual_seed(SEED)
    with torch.no_grad():
        model, encode, code, play = {"hugging_face": of_transformers, "kyutai": of_moshi}[dialect]()
        randomise(model)
        audio = torch.randn(2, 1, SAMPLES)
        frame, codes = encode(audio), code(audio)
        decoded = play(codes)
    versions = {"torch": torch.__version__, package: importlib.metadata.version(package), "seed": SEED}
    np.savez_compressed(
        FOLDER / f"mimi_{dialect}.npz",
        config=transformers.MimiConfig(**SMALL).to_json_string(),
        made_with=json.dumps(versions),
        audio=audio.mT.numpy(),
        frame=frame.mT.numpy(),
        codes=codes.mT.numpy().astype(np.uint8),
        decoded=decoded.mT.numpy(),
        **{f"weights/{name}": tensor.numpy() for name, tensor in model.state_dict().items()},
    )


if __name__ == "__main__":
    make("hugging_face", "transformers")
    make("kyutai", "moshi")
