//! Config fields that change no number of a forward pass over one text.

/// Names, in alphabetical order.
const NAMES: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_internal",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "auto_map",
    "bad_words_ids",
    "bos_token_id",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "init_std",
    "initializer_range",
    "is_encoder_decoder",
    "keys_to_ignore_at_inference",
    "label2id",
    "language",
    "layerdrop",
    "mask_token_id",
    "max_length",
    "model_max_length",
    "model_type",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "prefix",
    "problem_type",
    "return_dict",
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
];

/// Endings of names that are about training only.
const ENDINGS: &[&str] = &["dropout", "_pdrop", "dropout_rate", "dropout_prob", "dropout_ratio"];

/// Whether a field of this name changes no number.
pub(super) fn is_harmless(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok() || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_order_so_that_the_search_finds_them() {
        assert!(NAMES.is_sorted());
        assert!(NAMES.iter().all(|name| is_harmless(name)));
        assert!(is_harmless("attention_dropout") && !is_harmless("rope_theta"));
    }
}
