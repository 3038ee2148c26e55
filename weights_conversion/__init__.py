"""Published checkpoints to bundles, and bundles to the Hugging Face layout.

    python -m weights_conversion SRC DST        (the same as `audex convert SRC DST`)

Read in this order: `transforms` (layouts), `engine`, `family` (what one codec family has to tell), one family, as
`encodec/`, `sources` and `hub` (files), `convert`, `export` (the way back), `classifier`.
"""

from weights_conversion.classifier import convert_classifier as convert_classifier
from weights_conversion.classifier import is_classifier as is_classifier
from weights_conversion.convert import convert_codec as convert_codec
from weights_conversion.errors import ConversionError as ConversionError
from weights_conversion.export import export_codec as export_codec
from weights_conversion.family import families as families
from weights_conversion.family import published as published
from weights_conversion.sources import read as read
