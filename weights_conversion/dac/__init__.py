"""DAC's checkpoints: the `.pth` files of Descript's release, and Hugging Face's folders."""

from audex_jax.codecs.dac import PRESETS, Dac
from weights_conversion.dac import configs, names
from weights_conversion.family import Family, Published

FAMILY = Family(
    codec=Dac,
    model_type="dac",
    published=(
        Published(PRESETS["dac-16khz"], "descript/dac_16khz", "MIT"),
        Published(PRESETS["dac-24khz"], "descript/dac_24khz", "MIT"),
        Published(PRESETS["dac-44khz"], "descript/dac_44khz", "MIT"),
        # weights_44khz_16kbps.pth of release 1.0.0; nobody has put it on the hub in the layout of `DacModel`
        Published(PRESETS["dac-44khz-16kbps"], "github.com/descriptinc/descript-audio-codec/releases", "MIT"),
    ),
    from_hugging_face=configs.from_hugging_face,
    to_hugging_face=configs.to_hugging_face,
    table=lambda config: names.TABLE,
    paths=(),
    renames=names.RENAMES,
    from_pickle=configs.from_descript,
)
