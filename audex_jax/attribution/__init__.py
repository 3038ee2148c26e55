"""Attribution: how much each latent element speaks for a decision. Knows functions of a latent, and no models."""

from audex_jax.attribution.integrated_gradients import PathAttribution as PathAttribution
from audex_jax.attribution.integrated_gradients import integrated_gradients as integrated_gradients
from audex_jax.attribution.integrated_gradients import relative_gap as relative_gap
from audex_jax.attribution.quadrature import nodes_and_weights as nodes_and_weights
