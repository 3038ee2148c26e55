"""`python -m weights_conversion SRC DST` is `audex convert SRC DST`."""

import sys

from audex_jax.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
