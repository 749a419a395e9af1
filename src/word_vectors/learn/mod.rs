//! Word vectors learned from texts: counts of words near each other, their positive pointwise mutual information (PPMI),
//! and its truncated singular value decomposition.
//!
//! - `settings`: the window, the weights, the smoothing, the number of dimensions: [`LearnSettings`]
//! - `corpus`: the words of text files, line by line
//! - `vocabulary`: the frequent words of a corpus
//! - `pairs`: the weighted counts of pairs of words
//! - `ppmi`: the sparse matrix of PPMI, and its products with vectors
//! - `svd`: its largest singular values and left singular vectors
//! - `learned`: the vectors, and their file: [`LearnedVectors`]

mod corpus;
mod learned;
mod pairs;
mod ppmi;
mod settings;
mod svd;
mod vocabulary;

pub use learned::LearnedVectors;
pub use settings::{LearnSettings, Weighting};
