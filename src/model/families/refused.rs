//! Families that are known and not taken, each with the reason.

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
        ],
        "a mixture of experts has no one set of neurons a layer, which `mlp.hook_post` promises; dense families are",
    ),
    (
        &["mamba", "mamba2", "rwkv", "falcon_mamba", "jamba", "recurrent_gemma"],
        "only attention in every layer is",
    ),
    (
        &["t5", "mt5", "bart", "mbart", "pegasus", "whisper"],
        "an encoder with a decoder is not one stack of blocks; decoders alone and encoders alone are",
    ),
];

/// Why a family is refused, if it is.
pub(super) fn reason(model_type: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(names, _)| names.contains(&model_type)).map(|(_, reason)| *reason)
}
