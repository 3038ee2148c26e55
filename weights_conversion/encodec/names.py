"""Which of EnCodec's arrays is which published tensor: the tables. No logic in here.

Canonical is Hugging Face's naming with weight norm folded (`encoder.layers.3.conv.weight`).
"""

from weights_conversion.engine import WRAPPERS, Row
from weights_conversion.transforms import AS_IT_IS, CONV, CONV_TRANSPOSE, MATRIX, STACK, SUM

TABLE = (
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
PATHS = (  # our module path -> theirs; in a residual block the activations take the indices 0 and 2
    (r"\.narrow\b", ".block.1"),
    (r"\.widen\b", ".block.3"),
)

# Tensors' names -> canonical names. Meta's and audiocraft's EnCodec files share one naming.
RENAMES = (
    (rf"^({WRAPPERS})+(?=(encoder|decoder|quantizer)\.)", ""),
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.(conv|convtr)\.norm\.", ".norm."),
    (r"\.(conv|convtr)\.\1\.", ".conv."),
    (r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
)

# Tensors that the model has no place for, and why that is right. Anything else that is left over is an error.
IGNORED = ((r"quantizer\.layers\.\d+\.codebook\.(embed_avg|cluster_size|inited)", "statistics of codebook training"),)
