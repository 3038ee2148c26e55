"""Attribution: how much each latent element adds to a decision. It knows functions of a latent, and no models."""

from audex_jax.attribution.controls import shuffled_weights as shuffled_weights
from audex_jax.attribution.convergence import Convergence as Convergence
from audex_jax.attribution.convergence import convergence as convergence
from audex_jax.attribution.input_space import spectrum as spectrum
from audex_jax.attribution.methods.deeplift import deeplift as deeplift
from audex_jax.attribution.methods.expected_gradients import draw_baselines as draw_baselines
from audex_jax.attribution.methods.expected_gradients import expected_gradients as expected_gradients
from audex_jax.attribution.methods.gradient_shap import gradient_shap as gradient_shap
from audex_jax.attribution.methods.gradient_x_input import gradient_x_input as gradient_x_input
from audex_jax.attribution.methods.integrated_gradients import integrated_gradients as integrated_gradients
from audex_jax.attribution.methods.integrated_gradients import (
    integrated_gradients_of_each as integrated_gradients_of_each,
)
from audex_jax.attribution.methods.magnitude import magnitude as magnitude
from audex_jax.attribution.methods.occlusion import occlusion as occlusion
from audex_jax.attribution.methods.random import random_attribution as random_attribution
from audex_jax.attribution.methods.saliency import saliency as saliency
from audex_jax.attribution.methods.shapley_sampling import ShapleyAttribution as ShapleyAttribution
from audex_jax.attribution.methods.shapley_sampling import shapley_sampling as shapley_sampling
from audex_jax.attribution.methods.smooth_grad import smooth_grad as smooth_grad
from audex_jax.attribution.path import PathAttribution as PathAttribution
from audex_jax.attribution.path import relative_gap as relative_gap
from audex_jax.attribution.quadrature import nodes_and_weights as nodes_and_weights
from audex_jax.attribution.targets import contrast as contrast
from audex_jax.attribution.targets import logit as logit
from audex_jax.attribution.targets import logits_of as logits_of
from audex_jax.attribution.targets import predicted_logit as predicted_logit
from audex_jax.attribution.targets import probability as probability
from audex_jax.attribution.units import SIGNS as SIGNS
from audex_jax.attribution.units import UNITS as UNITS
from audex_jax.attribution.units import importance as importance
from audex_jax.attribution.units import spread as spread
from audex_jax.attribution.units import unit_map as unit_map
from audex_jax.attribution.units import unit_mask as unit_mask
from audex_jax.attribution.units import unit_scores as unit_scores
