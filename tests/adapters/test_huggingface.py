"""Audio classifiers of Hugging Face, each family in small with random weights, beside the library's own way."""

import json
import warnings

import numpy as np
import pytest

from audex_jax.adapters.frontends import front_end
from audex_jax.adapters.huggingface import from_huggingface
from audex_jax.adapters.pytorch import TorchFunction
from audex_jax.core.errors import AudexError

torch = pytest.importorskip("torch", reason="needs the extra `huggingface`")
transformers = pytest.importorskip("transformers", reason="needs the extra `huggingface`")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),  # WavLM's, within the library
]

WIDTH = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
CONV = {"conv_dim": [8, 8], "conv_kernel": [10, 4], "conv_stride": [80, 4], "num_feat_extract_layers": 2}
POSITIONS = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8}
WAV = WIDTH | CONV | POSITIONS
WHISPER = {
    "d_model": 8,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "num_mel_bins": 16,
    "max_source_positions": 50,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "classifier_proj_size": 8,
    "vocab_size": 8,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
}
FAMILIES = {  # config, its fields; extractor, its fields
    "wav2vec2": ("Wav2Vec2Config", WAV, "Wav2Vec2FeatureExtractor", {}),
    "hubert": ("HubertConfig", WAV, "Wav2Vec2FeatureExtractor", {"do_normalize": False}),
    "wavlm": ("WavLMConfig", WAV, "Wav2Vec2FeatureExtractor", {"return_attention_mask": True}),
    "ast": (
        "ASTConfig",
        WIDTH | {"num_mel_bins": 32, "max_length": 64},
        "ASTFeatureExtractor",
        {"num_mel_bins": 32, "max_length": 64},
    ),
    "whisper": ("WhisperConfig", WHISPER, "WhisperFeatureExtractor", {"feature_size": 16, "chunk_length": 1}),
}
EXTRACTORS = [(name, fields) for _, _, name, fields in FAMILIES.values()] + [
    ("ASTFeatureExtractor", {}),
    ("ASTFeatureExtractor", {"do_normalize": False, "max_length": 20}),
    ("WhisperFeatureExtractor", {}),
]
LABELS = {0: "left", 1: "right", 2: "up"}


def extractor_of(name: str, fields: dict):
    with warnings.catch_warnings():  # of filters that are empty, as those of published models are
        warnings.filterwarnings("ignore", "At least one mel filter has all zero values")
        return getattr(transformers, name)(**fields)


def save(family: str, folder, **fields):
    """A model with random weights in a folder."""
    config, own, extractor, given = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, config)(**own, id2label=LABELS, label2id={v: k for k, v in LABELS.items()}, **fields)
    model = transformers.AutoModelForAudioClassification.from_config(config)
    with torch.no_grad():  # decisions that depend on the audio
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and parameter.ndim == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
    model.save_pretrained(folder)
    extractor_of(extractor, given).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Folders of models, each written once."""
    written = {}

    def find(family: str):
        if family not in written:
            written[family] = tmp_path_factory.mktemp(family)
            save(family, written[family])
        return written[family]

    return find


def speechlike(rng, clips: int, samples: int) -> np.ndarray:
    """Noise that decays by 80 dB, with a tone, and silence at its end."""
    time = np.linspace(0, 1, samples)
    found = (0.1 * rng.normal(size=(clips, samples)) + 0.2 * np.sin(2000 * time)) * np.exp(-9 * time)
    found[:, -samples // 10 :] = 0
    return found.astype(np.float32)


@pytest.mark.parametrize(("name", "fields"), EXTRACTORS)
@pytest.mark.parametrize("samples", [400, 4321, 8000, 24000])
def test_front_ends_are_the_extractors(name, fields, samples, rng):
    extractor, audio = extractor_of(name, fields), speechlike(rng, 2, samples)
    theirs = extractor(list(audio), sampling_rate=16000, return_tensors="pt")[extractor.model_input_names[0]]
    ours = front_end(extractor)(torch.from_numpy(audio))
    assert ours.shape == theirs.shape
    assert ours.dtype == torch.float32
    assert (ours - theirs).abs().max() <= 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients(family, folder_of, rng):
    """Logits are those of the library; gradients, those of the finite differences of these."""
    folder, audio = folder_of(family), speechlike(rng, 2, 8000)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)

    def theirs(audio: np.ndarray) -> np.ndarray:
        inputs = extractor(list(audio), sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            return model(**inputs).logits.numpy()

    classifier = from_huggingface(folder).model.classifier
    np.testing.assert_allclose(classifier.checked(audio), theirs(audio), atol=1e-4)

    cotangent = rng.normal(size=(2, 3)).astype(np.float32)
    gradient = classifier.pulled_back(audio, cotangent)
    wide = TorchFunction(model.double(), front_end(extractor))  # differences need more digits than float32 has

    def value(audio: np.ndarray) -> float:
        with torch.no_grad():
            return float((wide._outputs(torch.from_numpy(audio)).numpy() * cotangent).sum())

    direction = (gradient / np.linalg.norm(gradient)).astype(np.float64)
    step = 1e-8
    difference = (value(audio + step * direction) - value(audio - step * direction)) / (2 * step)
    assert np.linalg.norm(gradient) == pytest.approx(difference, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_explains(family, folder_of, rng):
    clip = speechlike(rng, 1, 8000)[0]
    explainer = from_huggingface(folder_of(family), clip_seconds=0.5)
    assert (explainer.sample_rate, explainer.labels) == (16000, ("left", "right", "up"))
    found = explainer.explain(clip, steps=2, control=False)
    assert found.attribution.any()
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder_of(family)).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder_of(family))
    with torch.no_grad():
        logits = model(**extractor(clip, sampling_rate=16000, return_tensors="pt")).logits[0]
    expected = dict(zip(explainer.labels, logits.softmax(-1).tolist(), strict=True))
    assert found.probabilities == pytest.approx(expected, abs=1e-4)


def test_independent_labels(tmp_path):
    save("wav2vec2", tmp_path, problem_type="multi_label_classification")
    assert from_huggingface(tmp_path, label="up").labels == ("up", "not up")
    with pytest.raises(AudexError, match=r"choose the label: left, right, up"):
        from_huggingface(tmp_path)


def test_fingerprints_tell_models_apart(folder_of, tmp_path):
    def fingerprint(folder) -> str:
        return from_huggingface(folder).model.classifier.fingerprint

    save("wav2vec2", tmp_path / "same")
    save("wav2vec2", tmp_path / "other", layer_norm_eps=1e-3)
    first = fingerprint(folder_of("wav2vec2"))
    assert first == fingerprint(tmp_path / "same")
    settings = tmp_path / "same" / "preprocessor_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"do_normalize": False}))
    assert len({first, fingerprint(tmp_path / "same"), fingerprint(tmp_path / "other")}) == 3


def test_clips_are_no_longer_than_what_the_model_reads(folder_of):
    assert from_huggingface(folder_of("whisper")).clip_seconds == 1.0
    assert from_huggingface(folder_of("wav2vec2")).clip_seconds == 5.0
    with pytest.raises(AudexError, match=r"takes 1 s of audio, not 2 s"):
        from_huggingface(folder_of("whisper"), clip_seconds=2.0)


def no_config(folder):
    folder.mkdir()


def another_task(folder):
    transformers.BertConfig().save_pretrained(folder)


def no_head(folder):
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAV)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)


def no_extractor(folder):
    save("wav2vec2", folder)
    (folder / "preprocessor_config.json").unlink()


def other_extractor(folder):
    save("wav2vec2", folder)
    transformers.EncodecFeatureExtractor().save_pretrained(folder)


def broken_weights(folder):
    save("wav2vec2", folder)
    (folder / "model.safetensors").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (no_config, "no config.json there"),
        (another_task, "a model of type 'bert', which classifies no audio"),
        (no_head, "is not a trained classifier"),
        (no_extractor, "AutoFeatureExtractor cannot load this folder"),
        (other_extractor, "EncodecFeatureExtractor has no differentiable form"),
        (broken_weights, "AutoModelForAudioClassification cannot load this folder"),
    ],
)
def test_folders_that_are_refused(write, said, tmp_path):
    folder = tmp_path / "model"
    write(folder)
    with pytest.raises(AudexError, match=said) as error:
        from_huggingface(folder)
    assert "\n" not in str(error.value)


def test_an_id_without_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AudexError, match=r"^nobody/nothing: no such folder.* give its folder$") as error:
        from_huggingface("nobody/nothing")
    assert "\n" not in str(error.value)
