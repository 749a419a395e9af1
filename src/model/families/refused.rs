//! Families that are known but not supported, each with the reason.

const EXPERTS: &str = "a mixture of experts has no single set of neurons per layer, \
                       as `mlp.hook_post` requires; dense families are supported";
const NOT_ATTENTION: &str = "only models with attention in every layer are supported";
const TWO_STACKS: &str = "an encoder with a decoder is not one stack of blocks; \
                          decoder-only and encoder-only models are supported";
const IMAGES: &str = "it also reads images; text-only models are supported, such as gemma3_text";

const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "mixtral",
            "qwen2_moe",
            "qwen3_moe",
            "olmoe",
            "phimoe",
            "granitemoe",
            "deepseek_v2",
            "deepseek_v3",
            "gpt_oss",
            "dbrx",
            "jetmoe",
        ],
        EXPERTS,
    ),
    (&["mamba", "mamba2", "rwkv", "falcon_mamba", "jamba", "recurrent_gemma", "zamba"], NOT_ATTENTION),
    (&["t5", "mt5", "bart", "mbart", "pegasus", "whisper", "marian"], TWO_STACKS),
    (&["gemma3", "gemma3n", "llava", "qwen2_vl", "qwen2_5_vl", "mllama", "idefics3"], IMAGES),
];

/// The reason to refuse a family, if it is known but not supported.
pub(super) fn reason(model_type: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(names, _)| names.contains(&model_type)).map(|(_, reason)| *reason)
}
