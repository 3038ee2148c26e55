"""One program of one checkout, compiled for a device that is not here; `accelerators` starts this file.

    python compiling.py CHIP SUBJECT PROGRAM BATCH PRECISION      prints what the compiler says as a line of JSON

PYTHONPATH says whose `audex_jax` and `benchmarks.subject` are compiled. Programs: encode, decode, classify, path,
optimise, sound, and the whole steps amortised, weighted and default; revisions before `explain.step` have no path and
optimise of their own.
"""

import functools
import importlib
import importlib.util
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ |= {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=false")  # untuned, these need a GPU to compile
import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

SECONDS = 1.0
H100 = """gpu_device_info { threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000
l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84942979072 shared_memory_per_block_optin: 232448
cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536 }
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 patch: 0 } device_description_str: "H100" """


def devices_of(chip: str) -> Any:
    """Devices to compile for: one chip (`v5e`, `h100`), or a slice (`v5e:4x4`)."""
    if chip == "h100":
        return topologies.get_topology_desc(platform="cuda", topology="1x1x1", target_config=H100).devices
    if ":" in chip:
        return topologies.get_topology_desc(platform="tpu", topology_name=chip).devices
    bounds = {"topology_name": f"{chip}:1x1", "chips_per_host_bounds": [1, 1, 1]}
    if chip == "v5p":
        bounds["topology_name"] = "v5p:1x1x1"
    return topologies.get_topology_desc(platform="tpu", num_slices=1, **bounds).devices


def programs(subject: str, batch: int, precision: str) -> dict[str, tuple[Callable, tuple]]:
    """Functions by name, and what to compile them with."""
    if importlib.util.find_spec("audex_jax.explain") is None:
        return old_programs(subject, batch, precision)
    from audex_jax.core.settings import Settings
    from audex_jax.explain import step
    from audex_jax.explain.model import encode_and_classify
    from benchmarks.subject import explainer_of

    model = shapes(lambda: explainer_of(subject, SECONDS).model, subject)
    samples = round(SECONDS * model.codec.sample_rate)
    default = Settings(precision=precision)
    weighted = Settings(precision=precision, ranking="weighted")
    audio, lengths, wanted = given(samples, batch, model.codec.channels)
    clips = jax.eval_shape(encode_and_classify, model, audio, lengths)
    nothing = jax.ShapeDtypeStruct(clips.latent.shape[1:], jnp.float32)
    latent, valid = clips.latent, clips.valid

    def each(function: Callable, settings: Settings) -> Callable:
        return lambda model, clips, *more: jax.vmap(
            lambda clip, *of_it: function(model, clip, settings, *of_it), (0, *(0 for _ in more[1:]), None)
        )(clips, *more[1:], more[0])

    return {
        "encode": (lambda model, audio, lengths: model.codec.encode(audio, lengths), (model, audio, lengths)),
        "decode": (lambda model, latent: model.codec.decode(latent, samples), (model, latent)),
        "classify": (lambda model, latent, valid: jax.vmap(model.classifier)(latent, valid), (model, latent, valid)),
        "path": (each(step.attribute, weighted), (model, clips, nothing)),
        "optimise": (each(step.rank, default), (model, clips, nothing, latent)),
        "weighted": (functools.partial(step.explain_step, settings=weighted), (model, audio, lengths, wanted)),
        "default": (functools.partial(step.explain_step, settings=default), (model, audio, lengths, wanted)),
        **amortised_programs(model, precision, audio, lengths, wanted),
    }


def amortised_programs(model: Any, precision: str, *given: Any) -> dict[str, tuple[Callable, tuple]]:
    """Those of the ranking `amortised`, where the model has a mask network."""
    if getattr(model, "mask_network", None) is None:
        return {}
    from audex_jax.core.settings import Settings
    from audex_jax.explain import step
    from audex_jax.explain.model import suited
    from benchmarks.amortised import sound_of

    settings = suited(model, Settings(precision=precision, ranking="amortised"))
    whole = functools.partial(step.explain_step, settings=settings)
    return {"sound": (sound_of, (model, *given[:2])), "amortised": (whole, (model, *given))}


def old_programs(subject: str, batch: int, precision: str) -> dict[str, tuple[Callable, tuple]]:
    """Likewise of revisions whose step is `audex_jax.pipeline`."""
    from audex_jax import pipeline  # pyright: ignore[reportAttributeAccessIssue]
    from benchmarks.subject import weights_of  # pyright: ignore[reportAttributeAccessIssue]

    model = shapes(lambda: weights_of(subject), subject)
    codec = model.codec.config
    audio, lengths, wanted = given(round(SECONDS * codec.sample_rate), batch, codec.channels)
    latent = jax.eval_shape(lambda model, audio: model.codec.encode(audio), model, audio)
    valid = jax.ShapeDtypeStruct(latent.shape[:2], bool)

    def step(**settings: Any) -> Callable:
        chosen = pipeline.Settings(precision=precision, **settings)
        return functools.partial(pipeline.explain_step, settings=chosen, bandwidth=None)

    return {
        "encode": (
            lambda w, audio, lengths: pipeline.latent_of(w.codec, audio, lengths, None),
            (model, audio, lengths),
        ),
        "decode": (lambda w, latent: w.codec.decode(latent), (model, latent)),
        "classify": (lambda w, latent, valid: jax.vmap(w.classifier)(latent, valid), (model, latent, valid)),
        "weighted": (step(ranking="weighted"), (model, audio, lengths, wanted)),
        "default": (step(), (model, audio, lengths, wanted)),
    }


def shapes(build: Callable[[], Any], subject: str) -> Any:
    """A model without its numbers; random ones need not even be drawn."""
    return jax.tree.map(jax.typeof, build()) if subject in ("bundled", "tiny") else jax.eval_shape(build)


def given(samples: int, batch: int, channels: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Audio, lengths and targets of a batch."""
    audio = jax.ShapeDtypeStruct((batch, samples, channels), jnp.float32)
    return audio, *(jax.ShapeDtypeStruct((batch,), jnp.int32) for _ in range(2))


def main(chip: str, subject: str, program: str, batch: str, precision: str) -> dict[str, Any]:
    """What the compiler says of one program."""
    sys.path.append(str(pathlib.Path(__file__).parent))
    import compiled  # beside this file, whatever the checkout

    found = programs(subject, int(batch), precision)
    if program not in found:
        return {}
    function, arguments = found[program]
    counted = compiled.flops(jax.make_jaxpr(function)(*arguments).jaxpr)
    use_form_for("cuda" if chip == "h100" else "tpu")
    place = SingleDeviceSharding(devices_of(chip)[0])
    arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), arguments)
    start = time.perf_counter()
    done = jax.jit(lambda *given: function(*given)).lower(*arguments).compile()
    memory, text = done.memory_analysis(), done.as_text() or ""
    assert memory is not None
    if os.environ.get("AUDEX_HLO"):
        pathlib.Path(os.environ["AUDEX_HLO"]).write_text(text)
    return {
        "flops": counted,
        "seconds to compile": time.perf_counter() - start,
        "arguments": memory.argument_size_in_bytes,
        "results": memory.output_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        **(compiled.gpu_costs if chip == "h100" else compiled.tpu_costs)(text),
    }


def use_form_for(backend: str) -> None:
    """Trace what this backend is given; the programs are compiled where it is not.

    Older revisions keep `LANES` beside the convolutions; the oldest have one form.
    """
    for place in ("audex_jax.core.lanes", "audex_jax.codecs.encodec.conv"):
        try:
            lanes = importlib.import_module(place).LANES
        except (ImportError, AttributeError):
            continue
        lanes[jax.default_backend()] = lanes.get(backend, 1)
        jax.clear_caches()
        return


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
