//! From tokens to the stream.

/// The embedding of tokens and their positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embedding {
    /// Width of the table if it is not `d_model`; a matrix then projects into the stream (OPT-350m).
    pub d_embed: Option<usize>,
    /// Factor on the tokens' vectors.
    pub scale: f64,
    /// The vector added for the token's position.
    pub positions: PositionEmbedding,
    /// Number of token types (BERT); every token has type 0.
    pub n_token_types: Option<usize>,
    /// True if a norm precedes block 0.
    pub norm: bool,
}

/// The vector added to a token's embedding for its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionEmbedding {
    /// None: positions enter through attention alone.
    Nothing,
    /// One learned vector per position; position 0 has row `offset`.
    Learned {
        /// Rows before the first position's.
        offset: usize,
    },
    /// One learned vector per position, counted from the row after padding's; a padding token has padding's
    /// row and is not counted (RoBERTa).
    AfterPadding {
        /// The id of the padding token, and its row.
        padding: usize,
    },
    /// Fixed sines and then cosines; position 0 is counted as `offset` (XGLM).
    Sinusoidal {
        /// Added to the position.
        offset: usize,
    },
}

impl Embedding {
    /// The tokens' vectors unchanged.
    pub const PLAIN: Embedding = Embedding {
        d_embed: None,
        scale: 1.0,
        positions: PositionEmbedding::Nothing,
        n_token_types: None,
        norm: false,
    };
}
