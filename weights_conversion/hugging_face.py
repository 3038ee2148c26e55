"""What `config.json` of `transformers` has for every family, and checking its fields."""

from typing import Any

# of the base class of all configs of `transformers`, in all of its versions
GENERAL = {
    "add_cross_attention", "architectures", "auto_map", "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
    "chunk_size_feed_forward", "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty",
    "do_sample", "dtype", "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "gradient_checkpointing", "id2label", "is_decoder", "is_encoder_decoder", "label2id", "length_penalty",
    "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_scores", "pad_token_id", "prefix", "problem_type",
    "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
    "sep_token_id", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss",
    "tie_encoder_decoder", "tie_word_embeddings", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
    "transformers_version", "typical_p", "use_bfloat16", "use_cache",
}  # fmt: skip


def faults_of_fields(fields: dict[str, Any], known: set[str], fixed: dict[str, Any]) -> list[str]:
    """What a port does not understand in the fields of a `config.json`.

    Args:
        fields: of the file.
        known: fields that the port reads, or that have no effect on it.
        fixed: fields that must have this value, if they are there: anything else is another network.
    """
    faults = [
        f"{key} is {fields[key]!r}, the port knows only {value!r}"
        for key, value in fixed.items()
        if fields.get(key, value) != value
    ]
    unknown = fields.keys() - {*known, *fixed, *GENERAL}
    return faults + [f"{key} is unknown" for key in sorted(unknown) if not key.startswith("_")]  # `_commit_hash`, ...
