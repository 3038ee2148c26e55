"""Which of DAC's arrays is which published tensor: the tables. Canonical is Hugging Face's naming.

Descript's files number the layers: `encoder.block.0` is the first convolution, `encoder.block.1` the first block, and
behind the last block stand a snake, which has an `alpha`, and a convolution, which has a `weight`.
"""

import re

from weights_conversion.engine import WRAPPERS, Row
from weights_conversion.transforms import AS_IT_IS, CONV, CONV_TRANSPOSE, SNAKE, STACK, STACK_CONV

STAGE = "quantizer.quantizers.{q}."
TABLE = (
    *(Row(kind, "kernel", ("{path}.weight",), CONV) for kind in ("Conv", "Down")),
    Row("Up", "kernel", ("{path}.weight",), CONV_TRANSPOSE),
    *(Row(kind, "bias", ("{path}.bias",), AS_IT_IS) for kind in ("Conv", "Down", "Up")),
    Row("Snake", "alpha", ("{path}.alpha",), SNAKE),
    Row("Quantizer", "codebooks", (STAGE + "codebook.weight",), STACK),
    Row("Quantizer", "in_kernel", (STAGE + "in_proj.weight",), STACK_CONV),
    Row("Quantizer", "in_bias", (STAGE + "in_proj.bias",), STACK),
    Row("Quantizer", "out_kernel", (STAGE + "out_proj.weight",), STACK_CONV),
    Row("Quantizer", "out_bias", (STAGE + "out_proj.bias",), STACK),
)

OF_UNIT = {"0": "snake1", "1": "conv1", "2": "snake2", "3": "conv2"}
OF_ENCODER = {"0": "res_unit1", "1": "res_unit2", "2": "res_unit3", "3": "snake1", "4": "conv1"}
OF_DECODER = {"0": "snake1", "1": "conv_t1", "2": "res_unit1", "3": "res_unit2", "4": "res_unit3"}


def _block(half: re.Match) -> str:
    """`encoder.block.1.block.0.block.2.` -> `encoder.block.0.res_unit1.snake2.`"""
    side, number, layer, inner = half.groups()
    name = (OF_ENCODER if side == "encoder" else OF_DECODER)[layer]
    return f"{side}.block.{int(number) - 1}.{name}." + (f"{OF_UNIT[inner]}." if inner else "")


RENAMES = (
    (rf"^({WRAPPERS})+(?=(encoder|decoder|quantizer)\.)", ""),
    (r"^decoder\.model\.", "decoder.block."),
    (r"^(encoder|decoder)\.block\.([1-9]\d*)\.block\.([0-4])\.(?:block\.([0-3])\.)?", _block),
    (r"^(encoder|decoder)\.block\.0\.(?=(weight|bias|parametrizations))", r"\1.conv1."),
    (r"^(encoder|decoder)\.block\.\d+\.(?=alpha$)", r"\1.snake1."),
    (r"^(encoder|decoder)\.block\.\d+\.(?=(weight|bias|parametrizations))", r"\1.conv2."),
)
