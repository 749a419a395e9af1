//! The parameters of a spec, with their shapes.

use crate::limits::product;
use crate::model::spec::{BlockKind, NormKind, PositionEmbedding, QkNormOver, Spec};
use std::fmt;

/// The name of a parameter: a place in the model, and the place's weight or bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Param {
    /// The place in the model.
    pub place: Place,
    /// Its weight or its bias.
    pub kind: ParamKind,
}

/// The weight or the bias of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each name explains itself")]
pub enum ParamKind {
    Weight,
    Bias,
}

/// A place in the model that has parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Token embedding, `[d_vocab, d_embed]`.
    Embed,
    /// The matrix from an embedding of another width into the stream, `[d_model, d_embed]`.
    ProjectIn,
    /// Learned positions, `[offset + n_context, d_model]`.
    Positions,
    /// Token types, `[n_token_types, d_model]`.
    TokenTypes,
    /// The norm before block 0.
    EmbedNorm,
    /// A part of block `l`.
    Block(usize, BlockPart),
    /// The norm after the last block.
    FinalNorm,
    /// The matrix from the stream to an unembedding of another width, `[d_embed, d_model]`.
    ProjectOut,
    /// The masked-language model's matrix before the unembedding, `[d_model, d_model]`.
    HeadDense,
    /// The norm between the masked-language model's matrix and the unembedding.
    HeadNorm,
    /// Unembedding, `[d_vocab, d_embed]`.
    Unembed,
}

/// A part of one block; matrices are `[out, in]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockPart {
    /// The norm before attention, or after its sum if norms follow the sums.
    AttnNorm,
    /// `[n_heads · d_head, d_model]`.
    Query,
    /// `[n_kv_heads · d_head, d_model]`.
    Key,
    /// `[n_kv_heads · d_head, d_model]`.
    Value,
    /// The norm on queries.
    QueryNorm,
    /// The norm on keys.
    KeyNorm,
    /// `[d_model, n_heads · d_head]`.
    AttnOut,
    /// The norm on the output of attention.
    AttnOutNorm,
    /// The norm before the MLP, or after its sum if norms follow the sums.
    MlpNorm,
    /// `[d_mlp, d_model]`.
    Gate,
    /// `[d_mlp, d_model]`.
    Up,
    /// `[d_model, d_mlp]`.
    Down,
    /// The norm on the output of the MLP.
    MlpOutNorm,
}

impl Place {
    /// The place's weight.
    pub fn weight(self) -> Param {
        Param { place: self, kind: ParamKind::Weight }
    }

    /// The place's bias.
    pub fn bias(self) -> Param {
        Param { place: self, kind: ParamKind::Bias }
    }

    /// True if the place belongs to the head, which some checkpoints lack.
    pub fn is_head(self) -> bool {
        matches!(self, Place::ProjectOut | Place::HeadDense | Place::HeadNorm | Place::Unembed)
    }

    /// True if the place is a norm.
    pub fn is_norm(self) -> bool {
        use BlockPart::*;
        let in_block =
            |part| matches!(part, AttnNorm | QueryNorm | KeyNorm | AttnOutNorm | MlpNorm | MlpOutNorm);
        match self {
            Place::EmbedNorm | Place::FinalNorm | Place::HeadNorm => true,
            Place::Block(_, part) => in_block(part),
            _ => false,
        }
    }
}

impl BlockPart {
    /// The part in words.
    fn words(self) -> &'static str {
        match self {
            BlockPart::AttnNorm => "norm of attention",
            BlockPart::Query => "queries",
            BlockPart::Key => "keys",
            BlockPart::Value => "values",
            BlockPart::QueryNorm => "norm of queries",
            BlockPart::KeyNorm => "norm of keys",
            BlockPart::AttnOut => "attention output",
            BlockPart::AttnOutNorm => "norm of the attention output",
            BlockPart::MlpNorm => "norm of the MLP",
            BlockPart::Gate => "MLP gate",
            BlockPart::Up => "MLP input",
            BlockPart::Down => "MLP output",
            BlockPart::MlpOutNorm => "norm of the MLP output",
        }
    }
}

impl Param {
    /// The parameter in words, for errors: `bias of the queries in block 3`.
    pub(crate) fn words(self) -> String {
        let kind = if self.kind == ParamKind::Bias { "bias" } else { "weights" };
        let of = match self.place {
            Place::Block(l, part) => return format!("{kind} of the {} in block {l}", part.words()),
            Place::Embed => "token embedding",
            Place::ProjectIn => "projection into the stream",
            Place::Positions => "position embedding",
            Place::TokenTypes => "token-type embedding",
            Place::EmbedNorm => "norm after the embedding",
            Place::FinalNorm => "final norm",
            Place::ProjectOut => "projection out of the stream",
            Place::HeadDense => "matrix before the unembedding",
            Place::HeadNorm => "norm before the unembedding",
            Place::Unembed => "unembedding",
        };
        format!("{kind} of the {of}")
    }

    /// True for the matrices of a block.
    pub(crate) fn is_block_matrix(self) -> bool {
        matches!(self.place, Place::Block(..)) && self.kind == ParamKind::Weight && !self.place.is_norm()
    }
}

/// The name in the files of a training run, such as `blocks.3.QueryBias`.
impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Block(l, part) => write!(f, "blocks.{l}.{part:?}")?,
            place => write!(f, "{place:?}")?,
        }
        if self.kind == ParamKind::Bias { write!(f, "Bias") } else { Ok(()) }
    }
}

/// Collects the parameters and their shapes.
struct List<'a> {
    spec: &'a Spec,
    all: Vec<(Param, Vec<usize>)>,
}

impl List<'_> {
    fn weight(&mut self, place: Place, shape: &[usize]) {
        self.all.push((place.weight(), shape.to_vec()));
    }

    fn matrix(&mut self, place: Place, shape: [usize; 2], has_bias: bool) {
        self.weight(place, &shape);
        if has_bias {
            self.all.push((place.bias(), vec![shape[0]]));
        }
    }

    fn norm(&mut self, place: Place, kind: NormKind, shape: &[usize]) {
        if kind.has_weight() {
            self.weight(place, shape);
        }
        if kind.has_bias() {
            self.all.push((place.bias(), shape.to_vec()));
        }
    }

    fn block(&mut self, l: usize) {
        use BlockPart::*;
        let spec = self.spec;
        let at = |part| Place::Block(l, part);
        let (d, m) = (spec.d_model, spec.d_mlp);
        let (q, kv) = (spec.d_queries(), spec.d_keys());
        if spec.placement.has_norm_of_stream() {
            self.norm(at(AttnNorm), spec.norm, &[d]);
        }
        self.matrix(at(Query), [q, d], spec.biases.qkv);
        self.matrix(at(Key), [kv, d], spec.biases.qkv);
        self.matrix(at(Value), [kv, d], spec.biases.qkv);
        self.matrix(at(AttnOut), [d, q], spec.biases.attn_out);
        if let Some(norm) = spec.attention.qk_norm {
            let (of_query, of_key) = match norm.over {
                QkNormOver::Head => (vec![spec.d_head], vec![spec.d_head]),
                QkNormOver::OwnHead => (vec![spec.n_heads, spec.d_head], vec![spec.n_kv_heads, spec.d_head]),
                QkNormOver::Heads => (vec![q], vec![kv]),
            };
            self.norm(at(QueryNorm), norm.kind, &of_query);
            self.norm(at(KeyNorm), norm.kind, &of_key);
        }
        if spec.placement.has_norm_of_output() {
            self.norm(at(AttnOutNorm), spec.norm, &[d]);
            self.norm(at(MlpOutNorm), spec.norm, &[d]);
        }
        if spec.placement.has_norm_of_stream() && spec.block != BlockKind::ParallelOneNorm {
            self.norm(at(MlpNorm), spec.norm, &[d]);
        }
        self.matrix(at(Up), [m, d], spec.biases.mlp);
        self.matrix(at(Down), [d, m], spec.biases.mlp);
        if spec.mlp.is_gated() {
            self.matrix(at(Gate), [m, d], spec.biases.mlp);
        }
    }

    fn embedding(&mut self) {
        let Spec { d_model, d_vocab, embedding, .. } = *self.spec;
        self.weight(Place::Embed, &[d_vocab, self.spec.d_embed()]);
        if let Some(d_embed) = embedding.d_embed {
            self.weight(Place::ProjectIn, &[d_model, d_embed]);
        }
        let offset = match embedding.positions {
            PositionEmbedding::Learned { offset } => Some(offset),
            PositionEmbedding::AfterPadding { padding } => Some(padding + 1),
            PositionEmbedding::Nothing | PositionEmbedding::Sinusoidal { .. } => None,
        };
        if let Some(offset) = offset {
            self.weight(Place::Positions, &[offset + self.spec.n_context, d_model]);
        }
        if let Some(n) = embedding.n_token_types {
            self.weight(Place::TokenTypes, &[n, d_model]);
        }
        if embedding.norm {
            self.norm(Place::EmbedNorm, self.spec.norm, &[d_model]);
        }
    }

    fn head(&mut self) {
        let Some(head) = self.spec.head else { return };
        let Spec { d_model, d_vocab, embedding, .. } = *self.spec;
        if head.norm {
            self.norm(Place::FinalNorm, self.spec.norm, &[d_model]);
        }
        if let Some(d_embed) = embedding.d_embed {
            self.weight(Place::ProjectOut, &[d_embed, d_model]);
        }
        if head.transform.is_some() {
            self.matrix(Place::HeadDense, [d_model, d_model], true);
            self.norm(Place::HeadNorm, self.spec.norm, &[d_model]);
        }
        let shape = [d_vocab, self.spec.d_embed()];
        if !head.tied {
            self.weight(Place::Unembed, &shape);
        }
        if head.bias {
            self.all.push((Place::Unembed.bias(), vec![d_vocab]));
        }
    }
}

/// All parameters of a spec, with their shapes.
pub(crate) fn list(spec: &Spec) -> Vec<(Param, Vec<usize>)> {
    let mut list = List { spec, all: vec![] };
    list.embedding();
    (0..spec.n_layers).for_each(|l| list.block(l));
    list.head();
    list.all
}

/// The number of weights of a spec.
pub fn count(spec: &Spec) -> usize {
    let sizes = list(spec).into_iter().map(|(_, shape)| product(shape) as usize);
    sizes.fold(0, usize::saturating_add)
}
