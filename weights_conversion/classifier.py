"""The paper's classifier of EnCodec's latents, and others of its build: in and out."""

import functools

import numpy as np

from audex_jax.bundles import arrays_of, module_from
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from weights_conversion.engine import WRAPPERS, Row, Target, Tensor, canonical, fill, targets_of, tensors_of
from weights_conversion.errors import ConversionError
from weights_conversion.sources import Source
from weights_conversion.transforms import AS_IT_IS, BATCH_OF_ONE, MATRIX

TABLE = (
    Row("Linear", "kernel", ("{path}.weight",), MATRIX),
    Row("Linear", "bias", ("{path}.bias",), AS_IT_IS),
    Row("LayerNorm", "scale", ("{path}.weight",), AS_IT_IS),
    Row("LayerNorm", "bias", ("{path}.bias",), AS_IT_IS),
    Row("LatentTransformer", "positions", ("pos_encoder",), BATCH_OF_ONE),
)
PATHS = (
    (r"^project_in$", "embedding"),
    (r"^project_out$", "output_layer"),
    (r"^layers\b", "transformer_encoder.layers"),
    (r"\.attention_in$", ".self_attn.in_proj"),
    (r"\.attention_out$", ".self_attn.out_proj"),
    (r"\.feed_forward_in$", ".linear1"),
    (r"\.feed_forward_out$", ".linear2"),
    (r"\.attention_norm$", ".norm1"),
    (r"\.feed_forward_norm$", ".norm2"),
)
# The authors' SC_transformer.pth needs only the last one; the others are what people call the layers around an
# `nn.TransformerEncoder`, which itself may have any name.
RENAMES = (
    (rf"^({WRAPPERS})+", ""),
    (r"^(embed|in_proj|input_embedding|input_layer|input_proj|input_projection|proj_in|project_in)\.", "embedding."),
    (r"^(classifier|fc|fc_out|head|out|out_proj|output|output_proj|project_out)\.", "output_layer."),
    (r"^(pos_embed|pos_embedding|position_embedding|positional_embedding|positions)(\.weight)?$", "pos_encoder"),
    (r"^.*?\blayers\.(?=\d+\.(self_attn|linear[12]|norm[12])\.)", "transformer_encoder.layers."),
    (r"\.self_attn\.in_proj_(weight|bias)$", r".self_attn.in_proj.\1"),
)


def is_classifier(source: Source) -> bool:
    """Whether a checkpoint holds such a classifier. A codec may have attention, too, but has a quantiser besides."""
    names = "\n".join(source.tensors)
    return source.config is None and ".self_attn." in names and "quantizer." not in names


def convert_classifier(source: Source, heads: int = 8) -> LatentTransformer:
    """The paper's classifier, or one of the same build around an `nn.TransformerEncoder`.

    The file must hold a linear layer in, learned positions, encoder layers and a linear layer out. What it cannot tell
    is taken as in the paper: post-norm, ReLU, positions added to the projected latent, mean over time.

    Args:
        source: what `sources.read` returned.
        heads: attention heads, which no tensor's shape tells; the published classifier has 8.

    Raises:
        ConversionError: as for `convert.convert_codec`.
    """
    tensors, faults = canonical(source.tensors, RENAMES)
    if "pos_encoder" in tensors and tensors["pos_encoder"].values.ndim == 2:
        tensors["pos_encoder"] = Tensor(tensors["pos_encoder"].label, tensors["pos_encoder"].values[None])
    layers = {name.split(".")[2] for name in tensors if name.startswith("transformer_encoder.layers.")}
    shapes = {name: tensor.values.shape for name, tensor in tensors.items()}
    try:
        width, dim = shapes["embedding.weight"]
        config = TransformerConfig(
            dim=dim,
            classes=shapes["output_layer.bias"][0],
            frames=shapes["pos_encoder"][1],
            width=width,
            layers=len(layers),
            heads=heads,
            feed_forward=shapes["transformer_encoder.layers.0.linear1.bias"][0],
        )
    except KeyError as error:
        raise ConversionError(
            f"{source.name}: not a classifier of the known build: no tensor stands for {error.args[0]}; it has "
            + ", ".join(sorted(source.tensors)[:12])
        ) from None
    except (ValueError, IndexError) as error:
        raise ConversionError(f"{source.name}: its shapes are not those of a classifier ({error})") from None
    arrays = fill(source.name, classifier_targets(config), tensors, faults)
    return module_from(lambda: LatentTransformer(config, rngs=None), arrays, source.name)


@functools.cache
def classifier_targets(config: TransformerConfig) -> tuple[Target, ...]:
    """All arrays of a classifier, with the tensors that they are made of."""
    return targets_of(lambda: LatentTransformer(config, rngs=None), TABLE, PATHS)


def classifier_tensors(classifier: LatentTransformer) -> dict[str, np.ndarray]:
    """All weights of a classifier under the authors' names and in PyTorch's layouts."""
    tensors = tensors_of(arrays_of(classifier), classifier_targets(classifier.config))
    return {
        name.replace(".in_proj.", ".in_proj_"): np.ascontiguousarray(array, np.float32)  # as `nn.MultiheadAttention`
        for name, array in tensors.items()
    }
