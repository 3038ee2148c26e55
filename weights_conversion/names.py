"""Which of our arrays is which published tensor: the tables. No logic in here.

One naming is canonical, that of Hugging Face with weight norm folded (`encoder.layers.3.conv.weight`). Other dialects
are renamed to it (`RENAMES`), weight-norm pairs are folded into one `.weight` (`WEIGHT_NORMS`), and `CODEC` and
`CLASSIFIER` lead from there to our arrays.
"""

from typing import NamedTuple

from weights_conversion.transforms import (
    AS_IT_IS,
    BATCH_OF_ONE,
    CONV,
    CONV_TRANSPOSE,
    MATRIX,
    STACK,
    SUM,
    Transform,
)


class Row(NamedTuple):
    """One kind of array.

    Attributes:
        kind: class of our module that owns the array.
        array: its name in that module.
        tensors: names of the PyTorch tensors it is made of; `{path}` is the module's renamed path, `{i}` the index of
            an LSTM layer, and a name with `{q}` stands for one tensor each stage of the quantiser.
        transform: the change of layout.
    """

    kind: str
    array: str
    tensors: tuple[str, ...]
    transform: Transform


CODEC = (
    Row("Conv1d", "kernel", ("{path}.conv.weight",), CONV),
    Row("Conv1d", "bias", ("{path}.conv.bias",), AS_IT_IS),
    Row("ConvTranspose1d", "kernel", ("{path}.conv.weight",), CONV_TRANSPOSE),
    Row("ConvTranspose1d", "bias", ("{path}.conv.bias",), AS_IT_IS),
    Row("GroupNorm", "scale", ("{path}.weight",), AS_IT_IS),
    Row("GroupNorm", "bias", ("{path}.bias",), AS_IT_IS),
    Row("LSTMLayer", "input_kernel", ("{path}.lstm.weight_ih_l{i}",), MATRIX),
    Row("LSTMLayer", "recurrent_kernel", ("{path}.lstm.weight_hh_l{i}",), MATRIX),
    Row("LSTMLayer", "bias", ("{path}.lstm.bias_ih_l{i}", "{path}.lstm.bias_hh_l{i}"), SUM),
    Row("ResidualVectorQuantizer", "codebooks", ("{path}.layers.{q}.codebook.embed",), STACK),
)
CODEC_PATHS = (  # our module path -> theirs; in a residual block the activations take the indices 0 and 2
    (r"\.narrow\b", ".block.1"),
    (r"\.widen\b", ".block.3"),
)

CLASSIFIER = (
    Row("Linear", "kernel", ("{path}.weight",), MATRIX),
    Row("Linear", "bias", ("{path}.bias",), AS_IT_IS),
    Row("LayerNorm", "scale", ("{path}.weight",), AS_IT_IS),
    Row("LayerNorm", "bias", ("{path}.bias",), AS_IT_IS),
    Row("LatentTransformer", "positions", ("pos_encoder",), BATCH_OF_ONE),
)
CLASSIFIER_PATHS = (
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

# What `torch.nn.DataParallel`, `torch.compile` and people's trainers set before every name
WRAPPERS = r"module\.|_orig_mod\.|model\.|codec\."
# Tensors' names -> canonical names. Meta's and audiocraft's EnCodec files share one naming.
CODEC_RENAMES = (
    (rf"^({WRAPPERS})+(?=(encoder|decoder|quantizer)\.)", ""),
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.(conv|convtr)\.norm\.", ".norm."),
    (r"\.(conv|convtr)\.\1\.", ".conv."),
    (r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
)
# The authors' SC_transformer.pth needs only the last one; the others are what people call the layers around an
# `nn.TransformerEncoder`, which itself may have any name.
CLASSIFIER_RENAMES = (
    (rf"^({WRAPPERS})+", ""),
    (r"^(embed|in_proj|input_embedding|input_layer|input_proj|input_projection|proj_in|project_in)\.", "embedding."),
    (r"^(classifier|fc|fc_out|head|out|out_proj|output|output_proj|project_out)\.", "output_layer."),
    (r"^(pos_embed|pos_embedding|position_embedding|positional_embedding|positions)(\.weight)?$", "pos_encoder"),
    (r"^.*?\blayers\.(?=\d+\.(self_attn|linear[12]|norm[12])\.)", "transformer_encoder.layers."),
    (r"\.self_attn\.in_proj_(weight|bias)$", r".self_attn.in_proj.\1"),
)

# (scale, direction): `torch.nn.utils.weight_norm`, and `torch.nn.utils.parametrizations.weight_norm` (torch >= 2.1)
WEIGHT_NORMS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)

# Tensors that the model has no place for, and why that is right. Anything else that is left over is an error.
IGNORED = ((r"quantizer\.layers\.\d+\.codebook\.(embed_avg|cluster_size|inited)", "statistics of codebook training"),)
