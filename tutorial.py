# %% [markdown]
# # From a recording to an explanation, and on to your own classifier, codec and question
#
# A notebook as a plain script: run it as it is, or cell by cell in an editor that knows `# %%` (VS Code, PyCharm,
# Spyder), or turn it into a notebook with `jupytext --to ipynb tutorial.py`. It needs no network and no downloads.

# %%
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import audex_jax as audex

out = pathlib.Path(tempfile.mkdtemp(prefix="audex-tutorial-"))

# %% [markdown]
# ## 1. A recording and its explanation
#
# The bundled explainer joins a codec (EnCodec) with a classifier of the codec's latent. Your own recording goes in the
# same way, in any format and at any rate.

# %%
explainer = audex.load_explainer("mini-speech-commands")
audio = audex.read_audio(audex.demo_clips()[0], explainer.sample_rate)  # [samples]
explanation = explainer.explain(audio, keep=0.2)
print(f"classified as {explanation.prediction!r} ({explanation.prediction_probability:.2f})")
print("attribution of every latent element:", explanation.attribution.shape)  # [frames, dims]
print(explanation.verdict.headline)
for reason in explanation.verdict.reasons:  # such as what the same method makes of a label that is not there
    print(" -", reason)
explanation  # noqa: B018 - in a notebook: the verdict, players and the picture

# %% [markdown]
# Listen to what mattered, and to the residual: everything else.

# %%
audex.write_audio(out / "explanation.wav", explanation.audio, explanation.sample_rate)
audex.write_audio(out / "residual.wav", explanation.residual, explanation.sample_rate)

# %% [markdown]
# How little is enough? The attribution stays as it is; only the share that is kept changes.

# %%
for keep in (0.05, 0.1, 0.2, 0.4):
    (less,) = explainer.resynthesize(keep, [audio], [explanation])
    print(f"{keep:4.0%} kept: {less.verdict.headline}")

# %% [markdown]
# ## 2. Your own classifier
#
# Any JAX function from audio to logits can be explained as it is. It is compiled together with a codec, whose latent is
# the space of the explanation; by default that is the MDCT, which loses nothing. A toy: dull or bright?


# %%
def brightness(params, audio, length):
    """Logits of audio `[samples, 1]`; what lies behind `length` samples is zeros."""
    return params * jnp.stack([jnp.abs(audio).mean(), jnp.abs(jnp.diff(audio, axis=0)).mean()])


toy = audex.Explainer.for_waveform(
    brightness, ["dull", "bright"], params=jnp.float32(40), sample_rate=16000, clip_seconds=1.0
)
toys = toy.explain(audio, keep=0.3)
print(f"the toy says {toys.prediction!r}; {toys.verdict.headline}")

# %% [markdown]
# A function without a gradient, such as an ONNX model or a server, is asked about random masks instead. PyTorch modules
# (`audex.from_torch`) and Hugging Face models (`audex.from_huggingface`) keep their own gradients.


# %%
def asked(audio: np.ndarray) -> np.ndarray:
    """Logits `[b, 2]` of audio `[b, samples]`."""
    return 40 * np.stack([np.abs(audio).mean(1), np.abs(np.diff(audio)).mean(1)], 1)


black_box = audex.from_function(asked, ["dull", "bright"], sample_rate=16000, clip_seconds=1.0)
print(f"asked without a gradient: {black_box.explain(audio, keep=0.3, budget=64).verdict.headline}")

# %% [markdown]
# A classifier can also be trained on the latent of a codec. For recordings in folders there is `audex train`; here the
# same by hand, on two kinds of sound that are made up on the spot: a whistle and a hiss.

# %%
codec = explainer.model.codec
rate, samples = explainer.sample_rate, explainer.clip_samples
rng = np.random.default_rng(0)


def made_up(whistle: bool) -> np.ndarray:
    """A tone or a burst of noise of a third of a second, somewhere in a second of faint noise."""
    length = rate // 3
    tone = np.sin(2 * np.pi * rng.uniform(500, 1500) * np.arange(length) / rate)
    sound = tone if whistle else rng.normal(size=length)
    clip = 0.003 * rng.normal(size=samples)
    at = rng.integers(samples - length)
    clip[at : at + length] += 0.2 * sound * np.hanning(length)
    return clip.astype(np.float32)


kinds = np.arange(256) % 2  # 0 hiss, 1 whistle
clips = np.stack([made_up(bool(kind)) for kind in kinds])[..., None]  # [b, n, c]
encode_clips = jax.jit(lambda codec, x: codec.encode(x, jnp.full(len(x), samples)))
every = jnp.concatenate([encode_clips(codec, clips[i : i + 32]) for i in range(0, len(clips), 32)])  # [b, t, d]
latents, unseen = every[:192], every[192:]  # to learn from, and to test on
valid = jnp.ones(latents.shape[1], bool)  # every frame belongs to its clip

config = audex.TransformerConfig(
    dim=codec.dim, classes=2, frames=latents.shape[1], width=32, layers=1, heads=4, feed_forward=64
)
classifier = audex.LatentTransformer(config, rngs=nnx.Rngs(0))
graph, weights = nnx.split(classifier)
optimiser = optax.adamw(2e-3, weight_decay=0.1)


@jax.jit
def train_step(weights, state, key):
    """One step on all clips, moved in time at random; a plain JAX function of plain pytrees."""
    shifts = jax.random.randint(key, (len(latents),), 0, latents.shape[1])
    moved = jax.vmap(lambda z, shift: jnp.roll(z, shift, axis=0))(latents, shifts)

    def loss(weights):
        logits = jax.vmap(lambda z: nnx.merge(graph, weights)(z, valid))(moved)
        return optax.softmax_cross_entropy_with_integer_labels(logits, kinds[: len(latents)]).mean()

    value, gradient = jax.value_and_grad(loss)(weights)
    updates, state = optimiser.update(gradient, state, weights)
    return optax.apply_updates(weights, updates), state, value


state = optimiser.init(weights)
for key in jax.random.split(jax.random.key(0), 200):
    weights, state, value = train_step(weights, state, key)
guesses = jax.vmap(lambda z: nnx.merge(graph, weights)(z, valid))(unseen).argmax(-1)
accuracy = (np.asarray(guesses) == kinds[192:]).mean()
print(f"loss after training {value:.3f}, accuracy on clips it never saw {accuracy:.2f}")

# %% [markdown]
# Codec, classifier and labels make an explainer, which can be saved as a bundle: `audex explain --model` takes it too.

# %%
mean_latent = latents.mean((0, 1))  # what may stand where elements are taken out (filler="mean")
own = audex.Explainer(
    audex.Model(codec, nnx.merge(graph, weights), mean_latent),
    labels=("hiss", "whistle"),
    clip_seconds=samples / rate,
)
audex.save_explainer(out / "whistles", own, {"made_by": "tutorial.py"})
of_mine = audex.load_explainer(out / "whistles").explain(made_up(whistle=True), keep=0.1)
print(f"classified as {of_mine.prediction!r}. {of_mine.verdict.headline}")

# %% [markdown]
# ## 3. Your own question
#
# `integrated_gradients` explains any scalar function of any array, compiled and mapped like any other JAX function.
# Here: why a *whistle rather than a hiss*? And does the attribution add up?

# %%
tells = own.model.classifier


def rather(latent):
    """Logit of a whistle above that of a hiss."""
    hiss, whistle = tells(latent, valid)
    return whistle - hiss


explain = jax.jit(jax.vmap(lambda z: audex.integrated_gradients(rather, z, 0.0, steps=32, chunk=8)))
result = explain(latents[:4])
print("contrast:", result.value.round(2), "completeness gap:", jnp.abs(result.gap).round(4))

# %% [markdown]
# ## 4. Your own codec
#
# The algorithms know no codec: they take functions. Anything with a way there and back will do, for instance the
# cosine transform of frames of 20 ms. (The package has one that overlaps, `--codec mdct:16000`.)

# %%
hop = rate // 50


def encode(audio):
    """Frames of cosine coefficients, `[t, d]`."""
    return jax.scipy.fft.dct(audio.reshape(-1, hop), norm="ortho")


def decode(latent):
    """The way back, `[n]`."""
    return jax.scipy.fft.idct(latent, norm="ortho").reshape(-1)


def brightness(latent):
    """What is explained here: the mean frequency of the energy in Hz, the "spectral centroid"."""
    energy = jnp.square(latent).sum(0)
    return energy @ (jnp.arange(hop) * rate / 2 / hop) / (energy.sum() + 1e-9)


clip = jnp.asarray(made_up(whistle=True)[: samples // hop * hop])
latent = encode(clip)
np.testing.assert_allclose(decode(latent), clip, atol=1e-5)
result = audex.integrated_gradients(brightness, latent, 1e-3, rule="gauss-legendre", steps=64)
importance = jnp.abs(result.attribution)
kept = jnp.where(importance >= jnp.quantile(importance, 0.9), latent, 0)
audex.write_audio(out / "bright.wav", np.asarray(decode(kept)), rate)
print(f"brightness {result.value:.0f} Hz, of the 10 % that matter most {brightness(kept):.0f} Hz")

# %% [markdown]
# ## 5. A page to show others
#
# On the command line: `audex explain recordings/ --out explained --report`. From Python, for one explanation:

# %%
explanation.report(out / "report.html", name="first")  # one page to hear and see it, without network
explanation.save(
    out / "explained", name="first"
)  # sounds, attribution, picture and JSON, as `audex explain` writes them
print(sorted(path.name for path in (out / "explained").iterdir()))

# %% [markdown]
# ## 6. Thousands of recordings, in tables
#
# `audex batch recordings/ --out DIR` explains any number of recordings on every device, goes on after a kill where it
# was, and writes Parquet: one row for each segment of a recording. It takes a folder or a list; here of the demo clips.

# %%
import shlex  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402


def run(command: str) -> None:
    """What a terminal does with this command; `python -m audex_jax.cli` is `audex`, wherever it is installed."""
    subprocess.run([sys.executable, "-m", "audex_jax.cli", *shlex.split(command)], check=True)


recordings = out / "recordings.txt"
recordings.write_text("\n".join(str(path) for path in audex.demo_clips()))
run(f"batch {recordings} --out {out}/job --batch 1 --quiet")
run(f"merge {out}/job --out {out}/explained.parquet")

# %% [markdown]
# Any data tool reads the table: DuckDB, Polars, pandas, `datasets.load_dataset`; here pyarrow, which is there already.
# Columns say what they mean.

# %%
import io  # noqa: E402

import pyarrow.parquet as pq  # noqa: E402
import soundfile  # noqa: E402

table = pq.read_table(out / "explained.parquet", columns=["id", "prediction", "headline", "top_elements", "audio"])
print("headline:", table.schema.field("headline").metadata[b"description"].decode())
for row in table.to_pylist():
    first = row["top_elements"][0]
    sound, sample_rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    print(
        f"{row['id']}: {row['prediction']!r}. {row['headline']} "
        f"Most depends on frame {first['frame']}, dimension {first['dim']}; {len(sound) / sample_rate:.2f} s of sound"
    )

# %% [markdown]
# ## 7. Do people understand it?
#
# `audex study recordings/ --out study` makes a page on which people name what they hear and compare methods, without
# knowing which is which; `audex study-score` tells how often they were right, whether they agreed, what they preferred.

# %%
run(f"study demo --methods ig,random --clips 2 --listeners 2 --quiet --out {out}/study")
print("open", out / "study" / "study.html")
