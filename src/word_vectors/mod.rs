//! Static word vectors, such as GloVe, word2vec and fastText, and the rows that they give for names.
//!
//! - `words`: the words of a name, and the forms in which a file may have them
//! - `table`: the vectors of the needed words: [`WordVectors`]
//! - `formats/`: files of vectors
//! - `bundled`: the vectors of the bundled datasets' names
//! - `names`: one row per name: [`NameVectors`]
//! - `learn/`: vectors learned from texts: [`LearnedVectors`]

mod bundled;
mod formats;
mod learn;
mod names;
mod table;
mod words;

pub use learn::{LearnSettings, LearnedVectors, Weighting};
pub use names::NameVectors;
pub use table::WordVectors;
pub use words::needed_words;
