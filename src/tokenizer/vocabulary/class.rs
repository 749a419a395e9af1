//! The tokenizer class that transformers 5.23.0 chooses for a folder, and the files that it reads.

use super::special::Settings;

/// Families whose registered class has precedence over the one that a folder names.
const FORCED: [&str; 2] = ["phi3", "qwen2"];

/// A class of tokenizers; classes that behave alike are one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bert,
    Gpt2,
    CodeGen,
    Roberta,
    Qwen2,
    GptNeoX,
    Llama,
    Gemma,
    Xglm,
    T5,
    XlmRoberta,
    /// `TokenizersBackend`, which transformers takes if no class is named.
    Backend,
}

impl Class {
    /// The class for a folder.
    ///
    /// # Errors
    /// The name of an unknown class.
    pub(super) fn of(settings: &Settings) -> Result<Class, String> {
        let family = settings.family.as_str();
        let registered = Class::registered(family);
        match (settings.class.as_deref().map(Class::named), registered) {
            (None, registered) => Ok(registered.unwrap_or(Class::Backend)),
            (Some(named), None) => named,
            (Some(Ok(named)), Some(registered)) if named == registered => Ok(named),
            (Some(_), Some(Class::Backend)) => Ok(Class::Backend),
            (Some(_), Some(registered)) if FORCED.contains(&family) => Ok(registered),
            (Some(named), Some(_)) => named,
        }
    }

    /// A class by its name.
    fn named(name: &str) -> Result<Class, String> {
        Ok(match name.strip_suffix("Fast").unwrap_or(name) {
            "BertTokenizer" | "DistilBertTokenizer" | "ElectraTokenizer" | "MobileBertTokenizer" => {
                Class::Bert
            }
            "GPT2Tokenizer" => Class::Gpt2,
            "CodeGenTokenizer" => Class::CodeGen,
            "RobertaTokenizer" => Class::Roberta,
            "Qwen2Tokenizer" => Class::Qwen2,
            "GPTNeoXTokenizer" => Class::GptNeoX,
            "LlamaTokenizer" => Class::Llama,
            "GemmaTokenizer" => Class::Gemma,
            "XGLMTokenizer" => Class::Xglm,
            "T5Tokenizer" => Class::T5,
            "XLMRobertaTokenizer" => Class::XlmRoberta,
            "TokenizersBackend" | "PreTrainedTokenizer" | "PythonBackend" | "BloomTokenizer" => {
                Class::Backend
            }
            _ => return Err(name.into()),
        })
    }

    /// The registered class of a family, if transformers has one.
    fn registered(family: &str) -> Option<Class> {
        Some(match family {
            "bert" | "distilbert" => Class::Bert,
            "gpt2" | "gpt_neo" | "gptj" | "opt" | "phi" | "starcoder2" => Class::Gpt2,
            "gpt_neox" | "mpt" | "olmo" => Class::GptNeoX,
            "roberta" => Class::Roberta,
            "qwen2" | "qwen3" => Class::Qwen2,
            "gemma" | "gemma2" | "gemma3" | "gemma3_text" => Class::Gemma,
            "xglm" => Class::Xglm,
            "glm" | "glm4" | "granite" | "mistral" | "olmo2" | "phi3" | "stablelm" => Class::Backend,
            _ => return None,
        })
    }

    /// Its name in transformers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Bert => "BertTokenizer",
            Class::Gpt2 => "GPT2Tokenizer",
            Class::CodeGen => "CodeGenTokenizer",
            Class::Roberta => "RobertaTokenizer",
            Class::Qwen2 => "Qwen2Tokenizer",
            Class::GptNeoX => "GPTNeoXTokenizer",
            Class::Llama => "LlamaTokenizer",
            Class::Gemma => "GemmaTokenizer",
            Class::Xglm => "XGLMTokenizer",
            Class::T5 => "T5Tokenizer",
            Class::XlmRoberta => "XLMRobertaTokenizer",
            Class::Backend => "TokenizersBackend",
        }
    }

    /// The sets of files that it may read, in order of preference.
    pub(super) fn files(self) -> &'static [&'static [&'static str]] {
        match self {
            Class::Bert => &[&["vocab.txt"]],
            Class::Gpt2 | Class::CodeGen | Class::Roberta | Class::Qwen2 | Class::GptNeoX => {
                &[&["vocab.json", "merges.txt"]]
            }
            Class::Llama | Class::Gemma | Class::Backend => &[&["tokenizer.model"]],
            Class::T5 => &[&["tokenizer.model"], &["spiece.model"]],
            Class::Xglm | Class::XlmRoberta => &[&["tokenizer.model"], &["sentencepiece.bpe.model"]],
        }
    }

    /// Its default special tokens, by name.
    pub(super) fn tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Class::Bert => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
            Class::Gpt2 | Class::CodeGen => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Class::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Class::GptNeoX => {
                &[("bos_token", END), ("eos_token", END), ("unk_token", END), ("pad_token", "<|padding|>")]
            }
            Class::Roberta | Class::XlmRoberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
                ("mask_token", "<mask>"),
            ],
            Class::Xglm => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
            ],
            Class::T5 => &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")],
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Class::Backend => &[],
        }
    }
}
