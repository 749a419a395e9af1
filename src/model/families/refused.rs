//! Families that are known but not supported, each with the reason.

const EXPERTS: &str = "a mixture of experts has no one set of neurons a layer, which `mlp.hook_post` promises; \
                       dense families are";
const NOT_ATTENTION: &str = "only attention in every layer is";
const TWO_STACKS: &str =
    "an encoder with a decoder is not one stack of blocks; decoders alone and encoders alone are";
const IMAGES: &str = "it reads images as well; its text-only sibling is, such as gemma3_text";

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

/// The reason for which a family is refused, if it is.
pub(super) fn reason(model_type: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(names, _)| names.contains(&model_type)).map(|(_, reason)| *reason)
}
