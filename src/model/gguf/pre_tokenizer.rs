//! Pre-tokenizers of byte-level BPE: regular expressions that split a text before merging. A file contains only the
//! pre-tokenizer's name.

use serde_json::{Value, json};

/// A pre-tokenizer with llama.cpp's names for it.
pub(super) struct PreTokenizer {
    names: &'static [&'static str],
    /// Each pattern splits the pieces of the previous one.
    patterns: &'static [&'static str],
    /// True if a piece that is a token is kept whole, without merging.
    pub ignores_merges: bool,
    /// True if a text begins with BOS unless the file says otherwise.
    pub adds_bos: bool,
}

/// GPT-2's: words with a preceding space, runs of digits, runs of other characters.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Llama 3's and similar ones, which differ in the number of digits that stay together.
macro_rules! llama3_like {
    ($digits:literal) => {
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// Tekken's and GPT-4o's: a word ends before the next capital letter.
macro_rules! cased {
    ($contraction:literal, $digits:literal) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            $contraction,
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            $contraction,
            "|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

const fn plain(names: &'static [&'static str], patterns: &'static [&'static str]) -> PreTokenizer {
    PreTokenizer { names, patterns, ignores_merges: false, adds_bos: false }
}

/// BLOOM's: words with a preceding space, split at the listed punctuation.
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// The pre-tokenizers; names in one entry have the same patterns.
const KNOWN: &[PreTokenizer] = &[
    plain(
        &[
            "gpt-2",
            "phi-2",
            "olmo",
            "mpt",
            "exaone4",
            "trillion",
            "jais",
            "roberta-bpe",
            "modern-bert",
            "jina-v1-en",
            "jina-v2-code",
            "jina-v2-de",
            "jina-v2-es",
            "jina-de",
            "jina-es",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "granite-docling",
        ],
        &[GPT2],
    ),
    PreTokenizer {
        ignores_merges: true,
        adds_bos: true,
        ..plain(
            &[
                "llama-bpe",
                "llama3",
                "llama-v3",
                "falcon3",
                "falcon-h1",
                "pixtral",
                "midm-2.0",
                "lfm2",
                "jina-v5-nano",
            ],
            &[llama3_like!(r"\p{N}{1,3}")],
        )
    },
    plain(&["dbrx", "smaug-bpe", "chatglm-bpe"], &[llama3_like!(r"\p{N}{1,3}")]),
    PreTokenizer { ignores_merges: true, ..plain(&["glm4", "glm5"], &[llama3_like!(r"\p{N}{1,3}")]) },
    plain(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        &[llama3_like!(r"\p{N}")],
    ),
    plain(
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
        &[r"\p{N}", GPT2],
    ),
    plain(&["falcon"], &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
    plain(&["bloom", "poro-chat", "gpt3-finnish"], &[BLOOM]),
    plain(&["viking"], &[BLOOM, r"\p{N}"]),
    PreTokenizer { ignores_merges: true, adds_bos: true, ..plain(&["tekken"], &[cased!("", r"\p{N}")]) },
    plain(
        &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        &[cased!("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", r"\p{N}{1,3}")],
    ),
    plain(&["default"], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
];

impl PreTokenizer {
    /// The pre-tokenizer with this name.
    ///
    /// # Errors
    /// The known names.
    pub(super) fn named(name: &str) -> Result<&'static PreTokenizer, String> {
        let known = || KNOWN.iter().flat_map(|pre| pre.names).copied().collect::<Vec<_>>().join(", ");
        KNOWN.iter().find(|pre| pre.names.contains(&name)).ok_or_else(known)
    }

    /// The `pre_tokenizer` of a tokenizer.json.
    pub(super) fn json(&self) -> Value {
        let split = |pattern: &&str| {
            let pattern = json!({ "Regex": pattern });
            json!({ "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false })
        };
        let mut steps: Vec<Value> = self.patterns.iter().map(split).collect();
        steps.push(json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false
        }));
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}
