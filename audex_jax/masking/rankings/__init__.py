"""Rankings, one a file: what orders the elements of a latent. See `audex_jax.masking.rank`."""
