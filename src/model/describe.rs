//! A spec in words, for tables and for `mappa models inspect`.

use crate::model::spec::{
    ActivationFn, AttentionDirection, BlockKind, Layer, Mlp, PositionEmbedding, PositionEncoding, QkNormOver,
    Spec,
};
use crate::model::spec::{Rotary, RotaryLayout, RotaryScaling};

impl Spec {
    /// The choices that distinguish the model's family: the name of each, and its value in words.
    pub fn choices(&self) -> Vec<(&'static str, String)> {
        vec![
            ("attention", self.attention_words()),
            ("position", self.position_words()),
            ("norm", self.norm_words()),
            ("block", self.block_words()),
            ("mlp", mlp_words(self.mlp)),
            ("embedding", self.embedding_words()),
        ]
    }

    fn attention_words(&self) -> String {
        let mut words = vec![match (self.n_kv_heads, self.n_heads) {
            (kv, all) if kv == all => format!("{all} heads"),
            (1, all) => format!("multi-query, {all} heads"),
            (kv, all) => format!("grouped-query, {all} heads over {kv}"),
        }];
        if self.attention.direction == AttentionDirection::Bidirectional {
            words.push("bidirectional".into());
        }
        let n_sliding = self.layers.iter().filter(|layer| layer.window.is_some()).count();
        if let Some(window) = self.layers.iter().find_map(|layer| layer.window) {
            words.push(format!("window {window} in {n_sliding} of {} layers", self.n_layers));
        }
        if let Some(norm) = self.attention.qk_norm {
            let over = match norm.over {
                QkNormOver::Head => "each head",
                QkNormOver::OwnHead => "each head with its own weights",
                QkNormOver::Heads => "all heads",
            };
            words.push(format!("q/k norm over {over}"));
        }
        words.extend(self.attention.soft_cap.map(|cap| format!("soft-cap {cap}")));
        words.extend(self.attention.clip.map(|clip| format!("clipped at {clip}")));
        words.extend(self.biases.qkv.then(|| "q/k/v biases".into()));
        words.join(", ")
    }

    fn position_words(&self) -> String {
        let mut words = Vec::new();
        match self.embedding.positions {
            PositionEmbedding::Nothing => {}
            PositionEmbedding::Learned { offset: 0 } => words.push("learned".into()),
            PositionEmbedding::Learned { offset } => words.push(format!("learned, from row {offset}")),
            PositionEmbedding::AfterPadding { padding } => {
                words.push(format!("learned, from row {}", padding + 1));
            }
            PositionEmbedding::Sinusoidal { offset } => words.push(format!("sinusoidal, from row {offset}")),
        }
        let mut kinds: Vec<(&Layer, usize)> = Vec::new();
        for layer in &self.layers {
            match kinds.iter_mut().find(|(kind, _)| kind.position == layer.position) {
                Some((_, n)) => *n += 1,
                None => kinds.push((layer, 1)),
            }
        }
        for (layer, n) in &kinds {
            let word = match &layer.position {
                PositionEncoding::Nothing if words.is_empty() || kinds.len() > 1 => "none".to_string(),
                PositionEncoding::Nothing => continue,
                PositionEncoding::Rotary(rotary) => rotary_words(rotary, self.d_head),
                PositionEncoding::Alibi(_) => "ALiBi".to_string(),
            };
            words.push(if kinds.len() > 1 {
                format!("{word} in {n} of {} layers", self.n_layers)
            } else {
                word
            });
        }
        words.join(", ")
    }

    fn norm_words(&self) -> String {
        format!("{}, {}", self.norm.words(), self.placement.words())
    }

    fn block_words(&self) -> String {
        let kind = match self.block {
            BlockKind::Sequential => "sequential",
            BlockKind::Parallel => "parallel, two norms",
            BlockKind::ParallelOneNorm => "parallel, one norm",
        };
        if self.residual_scale == 1.0 {
            kind.into()
        } else {
            format!("{kind}, residual times {}", self.residual_scale)
        }
    }

    fn embedding_words(&self) -> String {
        let mut words = vec![match self.head {
            None => "no head".to_string(),
            Some(head) if head.tied => "tied".to_string(),
            Some(_) => "untied".to_string(),
        }];
        let Spec { embedding, .. } = self;
        if embedding.scale != 1.0 {
            words.push(format!("scaled by {:.4}", embedding.scale));
        }
        words.extend(embedding.d_embed.map(|width| format!("{width} wide, then projected")));
        words.extend(embedding.norm.then(|| "normed".into()));
        words.extend(embedding.n_token_types.map(|n| format!("{n} token types")));
        if let Some(head) = self.head {
            words.extend(head.transform.map(|_| "masked-language head".into()));
            words.extend(head.bias.then(|| "head bias".into()));
            words.extend(head.soft_cap.map(|cap| format!("logits soft-capped at {cap}")));
        }
        words.join(", ")
    }
}

fn rotary_words(rotary: &Rotary, d_head: usize) -> String {
    let share = match (2 * rotary.n_pairs(), d_head) {
        (n, d) if n == d => "rotary".to_string(),
        (n, d) => format!("rotary on {n} of {d}"),
    };
    let layout = match rotary.layout {
        RotaryLayout::Half => "",
        RotaryLayout::Interleaved => ", interleaved",
    };
    let scaling = match &rotary.scaling {
        RotaryScaling::Nothing => String::new(),
        RotaryScaling::Linear { factor } => format!(", linear by {factor}"),
        RotaryScaling::Llama3 { factor, .. } => format!(", llama3 by {factor}"),
        RotaryScaling::Yarn { factor, .. } => format!(", YaRN by {factor}"),
        RotaryScaling::EachOwn { .. } => ", LongRoPE".to_string(),
    };
    format!("{share}, base {}{layout}{scaling}", rotary.theta)
}

fn mlp_words(mlp: Mlp) -> String {
    let activation = match mlp.activation() {
        ActivationFn::Relu => "relu",
        ActivationFn::Gelu => "gelu",
        ActivationFn::GeluTanh => "gelu (tanh)",
        ActivationFn::Silu => "silu",
    };
    if mlp.is_gated() { format!("gated {activation}") } else { format!("plain {activation}") }
}
