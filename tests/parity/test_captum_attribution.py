"""The same numbers as Captum 0.9 on identical weights: the transformer classifier, and a ReLU conv net for DeepLIFT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

torch = pytest.importorskip("torch")
attr = pytest.importorskip("captum.attr")

from audex_jax import attribution as ours  # noqa: E402
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]

T, D, LABEL = 7, 6, 1
KEY = jax.random.key(9)
Z, BASELINE = (np.asarray(jax.random.normal(jax.random.key(i), (T, D))) for i in (1, 2))
POOL = np.asarray(jax.random.normal(jax.random.key(3), (3, T, D)))


class TorchClassifier(torch.nn.Module):
    """`LatentTransformer` in PyTorch's own modules, `[b, t, d] -> [b, k]`."""

    def __init__(self, source: LatentTransformer):
        super().__init__()
        config = source.config
        self.project_in = torch.nn.Linear(config.dim, config.width)
        self.positions = torch.nn.Parameter(_tensor(source.positions))
        self.layers = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(
                config.width, config.heads, config.feed_forward, 0.0, torch.nn.ReLU(), batch_first=True
            )
            for _ in range(config.layers)
        )
        self.project_out = torch.nn.Linear(config.width, config.classes)
        _fill(self.project_in, source.project_in)
        _fill(self.project_out, source.project_out)
        for layer, given in zip(self.layers, source.layers, strict=True):
            layer.self_attn.in_proj_weight.data = _tensor(given.attention_in.kernel).T.contiguous()
            layer.self_attn.in_proj_bias.data = _tensor(given.attention_in.bias)
            _fill(layer.self_attn.out_proj, given.attention_out)
            _fill(layer.linear1, given.feed_forward_in)
            _fill(layer.linear2, given.feed_forward_out)
            for norm, values in ((layer.norm1, given.attention_norm), (layer.norm2, given.feed_forward_norm)):
                norm.weight.data, norm.bias.data = _tensor(values.scale), _tensor(values.bias)

    def forward(self, latent):
        x = self.project_in(latent) + self.positions[: latent.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.project_out(x.mean(1))


class TorchConvNet(torch.nn.Module):
    """Two convolutions and two linear layers with ReLU, as the follow-up paper's conv net, `[b, d, t] -> [b, k]`."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolutions = torch.nn.Sequential(
            torch.nn.Conv1d(D, 8, 5), torch.nn.ReLU(), torch.nn.Conv1d(8, 4, 3), torch.nn.ReLU()
        )
        self.head = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))

    def forward(self, x):
        return self.head(self.convolutions(x).flatten(1))


def conv_net_logits(net: TorchConvNet, z):
    """The same net in JAX, `[t, d] -> [k]`."""
    x = z.T[None]
    for layer in (net.convolutions[0], net.convolutions[2]):
        weight, bias = (jnp.asarray(p.detach().numpy()) for p in (layer.weight, layer.bias))
        x = jax.lax.conv_general_dilated(x, weight, (1,), "VALID", dimension_numbers=("NCH", "OIH", "NCH"))
        x = jax.nn.relu(x + bias[:, None])
    first, last = ([jnp.asarray(p.detach().numpy()) for p in net.head[i].parameters()] for i in (0, 2))
    return last[0] @ jax.nn.relu(first[0] @ x.ravel() + first[1]) + last[1]


def _tensor(variable):
    return torch.from_numpy(np.array(variable[...]))


def _fill(linear, given):
    linear.weight.data, linear.bias.data = _tensor(given.kernel).T.contiguous(), _tensor(given.bias)


@pytest.fixture(scope="module")
def models():
    """Logit of one label in JAX, and the whole classifier in PyTorch."""
    config = TransformerConfig(dim=D, classes=4, frames=10, width=16, layers=2, heads=2, feed_forward=32)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
    f = ours.logit(lambda z: classifier(z, jnp.ones(len(z), bool)), LABEL)
    return jax.jit(f), TorchClassifier(classifier).eval()


def batch(array):
    return torch.from_numpy(np.array(array))[None]


def same(one, captum, tolerance=1e-4):
    captum = captum.detach().numpy()[0]
    np.testing.assert_allclose(one, captum, rtol=tolerance, atol=tolerance * np.abs(captum).max())


def test_the_models_are_the_same(models):
    f, model = models
    assert f(Z) == pytest.approx(float(model(batch(Z))[0, LABEL]), rel=1e-5)


@pytest.mark.parametrize(
    "rule", ["gauss-legendre", "riemann-middle", "riemann-left", "riemann-right", "riemann-trapezoid"]
)
def test_integrated_gradients(models, rule):
    f, model = models
    steps = 11
    result = jax.jit(lambda z: ours.integrated_gradients(f, z, BASELINE, rule=rule, steps=steps))(Z)
    captum, delta = attr.IntegratedGradients(model).attribute(
        batch(Z),
        batch(BASELINE),
        target=LABEL,
        n_steps=steps,
        method=rule.replace("gauss-", "gauss").replace("-", "_"),
        return_convergence_delta=True,
    )
    if rule == "riemann-trapezoid":  # Captum's weights sum to (n - 1) / n
        captum, delta = captum * steps / (steps - 1), None
    same(result.attribution, captum)
    if delta is not None:
        assert result.gap == pytest.approx(float(delta), abs=1e-5)


def test_saliency_and_input_x_gradient(models):
    f, model = models
    same(ours.saliency(f, Z), attr.Saliency(model).attribute(batch(Z), target=LABEL))
    same(ours.gradient_x_input(f, Z, 0.0), attr.InputXGradient(model).attribute(batch(Z), target=LABEL))


def test_smooth_grad_with_the_same_noise(models, monkeypatch):
    f, model = models
    noise = np.stack([jax.random.normal(key, (T, D)) for key in jax.random.split(KEY, 6)])
    deviation = 0.15 * (Z.max() - Z.min())
    monkeypatch.setattr(torch, "normal", lambda *_: torch.from_numpy(deviation * noise))
    captum = attr.NoiseTunnel(attr.Saliency(model)).attribute(batch(Z), target=LABEL, nt_samples=6, abs=False)
    same(jax.jit(lambda z: ours.smooth_grad(f, z, key=KEY, samples=6, noise=0.15))(Z), captum)


def test_gradient_shap_with_the_same_draws(models, monkeypatch):
    f, model = models
    noises, which, places = [], [], []
    for key in jax.random.split(KEY, 6):
        noise_key, which_key, place_key = jax.random.split(key, 3)
        noises.append(jax.random.normal(noise_key, (T, D)))
        which.append(int(jax.random.randint(which_key, (), 0, len(POOL))))
        places.append(float(jax.random.uniform(place_key, ())))
    monkeypatch.setattr(torch, "normal", lambda *_: torch.from_numpy(0.2 * np.stack(noises)))
    monkeypatch.setattr(np.random, "choice", lambda *_: np.array(which))
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.array(places))
    captum = attr.GradientShap(model).attribute(batch(Z), torch.from_numpy(POOL), target=LABEL, n_samples=6, stdevs=0.2)
    explain = jax.jit(lambda z: ours.gradient_shap(f, z, jnp.asarray(POOL), key=KEY, samples=6, noise=0.2))
    same(explain(Z), captum)


@pytest.mark.parametrize("label", [0, 2])
def test_deeplift_on_a_conv_net(label):
    net = TorchConvNet()
    explain = jax.jit(lambda z: ours.deeplift(lambda z: conv_net_logits(net, z)[label], z, BASELINE))
    result = explain(Z)
    captum = attr.DeepLift(net).attribute(batch(Z.T), batch(BASELINE.T), target=label)
    same(result.attribution.T, captum)
    assert abs(result.gap) < 1e-5


def test_deeplift_adds_up_on_the_transformer_where_captum_does_not(models):
    f, model = models
    result = jax.jit(lambda z: ours.deeplift(f, z, BASELINE))(Z)
    captum, delta = attr.DeepLift(model).attribute(
        batch(Z), batch(BASELINE), target=LABEL, return_convergence_delta=True
    )
    difference = float(result.value - result.baseline_value)
    assert float(captum.sum()) - difference == pytest.approx(float(delta), abs=1e-5)
    assert abs(float(delta)) > 0.05 * abs(difference)
    assert abs(result.gap) < 1e-5


@pytest.mark.parametrize(("unit", "window"), [("frame", (1, D)), ("dimension", (T, 1))])
def test_occlusion(models, unit, window):
    f, model = models
    captum = attr.Occlusion(model).attribute(
        batch(Z), sliding_window_shapes=window, strides=window, baselines=batch(BASELINE), target=LABEL
    )
    same(ours.occlusion(f, Z, BASELINE, units=ours.unit_map(unit, T, D)), captum)


def test_shapley_sampling_in_expectation(models):
    f, model = models
    units = ours.unit_map("segment", T, D, 2)
    torch.manual_seed(0)
    draws = 150
    captum = attr.ShapleyValueSampling(model).attribute(
        batch(Z),
        batch(BASELINE),
        target=LABEL,
        feature_mask=torch.from_numpy(units)[None].long(),
        n_samples=draws,
        perturbations_per_eval=4,
    )
    explain = jax.jit(lambda z: ours.shapley_sampling(f, z, BASELINE, units=units, key=KEY, permutations=draws))
    estimate = explain(Z)
    assert (estimate.standard_error > 0).all()
    difference = np.abs(estimate.attribution - captum.detach().numpy()[0])
    assert (difference < 4 * np.sqrt(2) * estimate.standard_error).all()
    assert estimate.standard_error.max() < 0.2 * np.abs(estimate.attribution).max()  # or the test says nothing
