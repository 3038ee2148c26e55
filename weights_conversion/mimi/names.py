"""Which of Mimi's arrays is which published tensor: the tables. No logic in here.

Canonical is the naming of Hugging Face's files (`encoder_transformer.layers.0.self_attn.q_proj.weight`).
"""

import numpy as np

from weights_conversion.engine import WRAPPERS, Row
from weights_conversion.transforms import AS_IT_IS, CONV, CONV_TRANSPOSE, MATRIX, Transform

LEAST_USAGE = np.float32(1e-5)  # of a codebook entry, as both references have it

POINTWISE = Transform(lambda w: w[:, :, 0].T, lambda w: (w.T[:, :, None],))
DEPTHWISE = Transform(lambda w: w[:, 0].T, lambda w: (w.T[:, None],))
FUSED = Transform(lambda *parts: np.concatenate(parts).T, lambda w: tuple(np.split(w.T, 3)))
CENTROIDS = Transform(  # sums and numbers of what training assigned to each entry, one pair a stage
    lambda *parts: np.stack(
        [total / np.maximum(usage, LEAST_USAGE)[:, None] for total, usage in zip(parts[::2], parts[1::2], strict=True)]
    ),
    lambda books: tuple(part for book in books for part in (book, np.ones(len(book), np.float32))),
)

TABLE = (
    Row("Conv1d", "kernel", ("{path}.conv.weight",), CONV),
    Row("Conv1d", "bias", ("{path}.conv.bias",), AS_IT_IS),
    Row("ConvTranspose1d", "kernel", ("{path}.conv.weight",), CONV_TRANSPOSE),
    Row("ConvTranspose1d", "bias", ("{path}.conv.bias",), AS_IT_IS),
    Row("Downsample", "kernel", ("{path}.conv.weight",), CONV),
    Row("Upsample", "kernel", ("{path}.conv.weight",), DEPTHWISE),
    Row("LayerNorm", "scale", ("{path}.weight",), AS_IT_IS),
    Row("LayerNorm", "bias", ("{path}.bias",), AS_IT_IS),
    Row("Layer", "attention_in", tuple(f"{{path}}.self_attn.{p}_proj.weight" for p in "qkv"), FUSED),
    Row("Layer", "attention_out", ("{path}.self_attn.o_proj.weight",), MATRIX),
    Row("Layer", "attention_scale", ("{path}.self_attn_layer_scale.scale",), AS_IT_IS),
    Row("Layer", "feed_forward_in", ("{path}.mlp.fc1.weight",), MATRIX),
    Row("Layer", "feed_forward_out", ("{path}.mlp.fc2.weight",), MATRIX),
    Row("Layer", "feed_forward_scale", ("{path}.mlp_layer_scale.scale",), AS_IT_IS),
    Row("ProjectedQuantizer", "input", ("{path}.input_proj.weight",), POINTWISE),
    Row("ProjectedQuantizer", "output", ("{path}.output_proj.weight",), POINTWISE),
    Row(
        "ProjectedQuantizer",
        "codebooks",
        ("{path}.layers.{q}.codebook.embed_sum", "{path}.layers.{q}.codebook.cluster_usage"),
        CENTROIDS,
    ),
)
PATHS = (  # our module path -> theirs; in a residual block the activations take the indices 0 and 2
    (r"\.narrow\b", ".block.1"),
    (r"\.widen\b", ".block.3"),
    (r"\.attention_norm$", ".input_layernorm"),
    (r"\.feed_forward_norm$", ".post_attention_layernorm"),
    (r"^quantizer\.(semantic|acoustic)$", r"quantizer.\1_residual_vector_quantizer"),
)
PARTS = r"(encoder|decoder|encoder_transformer|decoder_transformer|downsample|upsample|quantizer)\."
RENAMES = (
    (rf"^({WRAPPERS}|mimi\.)+(?={PARTS})", ""),
    # the names in memory of `transformers` from version 5.20 on
    (r"^(encoder|decoder)\.\1_seanet\.", r"\1."),
    (r"^(encoder|decoder)\.(\1_transformer|downsample|upsample)\.", r"\2."),
    # Kyutai's
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.(conv|convtr)(\.\1)+\.", ".conv."),
    (r"^(encoder|decoder)_transformer\.transformer\.", r"\1_transformer."),
    (r"\.self_attn\.in_proj(_|s\.0\.)weight$", ".self_attn.in_proj.weight"),
    (r"\.self_attn\.out_proj(s\.0)?\.", ".self_attn.o_proj."),
    (r"\.linear([12])\.", r".mlp.fc\1."),
    (r"\.norm1\.", ".input_layernorm."),
    (r"\.norm2\.", ".post_attention_layernorm."),
    (r"\.layer_scale_1\.", ".self_attn_layer_scale."),
    (r"\.layer_scale_2\.", ".mlp_layer_scale."),
    (r"^quantizer\.rvq_first\.(vq\.)?", "quantizer.semantic_residual_vector_quantizer."),
    (r"^quantizer\.rvq_rest\.(vq\.)?", "quantizer.acoustic_residual_vector_quantizer."),
    (r"\._codebook\.", ".codebook."),
    (r"\.codebook\.(embedding_sum|embed_avg)$", ".codebook.embed_sum"),
    (r"\.codebook\.cluster_size$", ".codebook.cluster_usage"),
    (r"\.codebook\.(_initialized|inited)$", ".codebook.initialized"),
)
IGNORED = ((r"quantizer\.\w+\.layers\.\d+\.codebook\.initialized", "whether training has begun"),)
