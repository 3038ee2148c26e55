"""`python -m audex_jax.cli`: the `audex` command."""

import sys

from audex_jax.cli import main

sys.exit(main())
