//! Families: one file each, all computed by the same forward pass.
//!
//! To add a family, write a file here that converts its config to a [`Spec`](super::Spec) and names its tensors; add a
//! line to [`FAMILIES`], and a fixture made by transformers.
//!
//! - `family`: the entry of one family; `resolve`: from a config to its family and its spec
//! - `config`: a config.json read field by field; a field that is not read and may change numbers is refused
//! - `reference`: the fields that transformers reads; `harmless`: fields that change no number in any code
//! - `rope`, `alibi`, `layers`: positions and windows that several families share
//! - `refused`: families that are known but not supported, with the reason
//! - `measured`: the measured differences from transformers

mod alibi;
mod bert;
mod bloom;
mod chatglm;
mod config;
mod distilbert;
mod falcon;
mod family;
mod gemma;
mod gemma2;
mod gemma3;
mod glm;
mod glm4;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod gptj;
mod granite;
mod harmless;
mod layers;
pub(crate) mod llama;
mod measured;
mod mistral;
mod mpt;
mod olmo;
mod olmo2;
mod opt;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;
mod reference;
mod refused;
mod resolve;
mod roberta;
mod rope;
mod smollm3;
mod stablelm;
mod starcoder2;
mod xglm;

pub use config::Config;
pub use family::Family;
pub use measured::{MEASURED, Measured};

/// All supported families.
pub const FAMILIES: &[Family] = &[
    bert::FAMILY,
    bloom::FAMILY,
    chatglm::FAMILY,
    distilbert::FAMILY,
    falcon::FAMILY,
    gemma::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
    glm::FAMILY,
    glm4::FAMILY,
    gpt2::FAMILY,
    gpt_neo::FAMILY,
    gpt_neox::FAMILY,
    gptj::FAMILY,
    granite::FAMILY,
    llama::FAMILY,
    mistral::FAMILY,
    mpt::FAMILY,
    olmo::FAMILY,
    olmo2::FAMILY,
    opt::FAMILY,
    phi::FAMILY,
    phi3::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    roberta::FAMILY,
    smollm3::FAMILY,
    stablelm::FAMILY,
    starcoder2::FAMILY,
    xglm::FAMILY,
];
