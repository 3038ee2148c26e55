"""Makes the golden arrays of DAC: a small random one, and what `transformers` makes of it.

    python tests/golden/make_dac.py        (needs the `parity` extra)

`dac.npz` holds all weights one after the other (`weights`), with their names and shapes (`shapes`, JSON), the config
(`config`, JSON), audio `[b, n, 1]`, what the encoder makes of it `[b, t, d]`, the codes `[b, t, q]`, what the decoder
reads and the audio that it makes, and the versions that made it (`made_with`).
"""

import json
import pathlib

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent
SMALL = {"encoder_hidden_size": 2, "downsampling_ratios": [2, 5], "decoder_hidden_size": 8, "n_codebooks": 3}
SMALL |= {"codebook_size": 16, "codebook_dim": 2, "sampling_rate": 1000}


def make(seed: int = 7) -> None:
    torch.manual_seed(seed)
    model = transformers.DacModel(transformers.DacConfig(**SMALL)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 1.0 if "codebook" in name else 0.2  # more, and a dozen snakes in a row amplify rounding
            parameter.copy_(spread * torch.randn(parameter.shape) + (0.7 if name.endswith("alpha") else 0.0))
        audio = torch.randn(2, 1, 190) * torch.linspace(0.1, 1, 190)
        encoded = model.encode(audio)
        decoded = model.decoder(encoded.quantized_representation)
        continuous = model.encoder(audio)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "seed": seed}
    np.savez_compressed(
        FOLDER / "dac.npz",
        config=model.config.to_json_string(),
        made_with=json.dumps(versions),
        audio=audio.transpose(1, 2).numpy(),
        continuous=continuous.transpose(1, 2).numpy(),
        codes=encoded.audio_codes.transpose(1, 2).numpy().astype(np.uint8),
        quantised=encoded.quantized_representation.transpose(1, 2).numpy(),
        decoded=decoded.transpose(1, 2).numpy(),
        shapes=json.dumps({name: tensor.shape for name, tensor in model.state_dict().items()}),
        weights=torch.cat([tensor.ravel() for tensor in model.state_dict().values()]).numpy(),
    )


if __name__ == "__main__":
    make()
