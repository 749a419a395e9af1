//! RoBERTa: BERT with positions counted from the row after padding's, and a head of its own.

use super::{Config, Family, bert};
use crate::error::Result;
use crate::model::params::{Kind, Param, Place};
use crate::model::spec::{Activation, Embedding, Head, Positions, Spec};
use crate::model::weights::{Rows, Source};

pub(super) const FAMILY: Family = Family { model_type: "roberta", spec, source, prefix: "roberta." };

fn spec(config: &Config) -> Result<Spec> {
    let padding = match config.maybe_number("pad_token_id")? {
        Some(id) if id >= 0.0 && id.fract() == 0.0 => id as usize,
        None if !config.is_null("pad_token_id") => 1,
        _ => {
            return Err(config.unsupported(
                "pad_token_id",
                "not a token",
                "a token id, from which positions count, is",
            ));
        }
    };
    let spec = bert::alike(config, "roberta", padding + 1)?;
    let embedding = Embedding { positions: Positions::AfterPadding { padding }, ..spec.embedding };
    // The head's activation is exact gelu whatever `hidden_act` says.
    let head = spec.head.map(|head| Head { transform: Some(Activation::Gelu), ..head });
    Ok(Spec { embedding, head, ..spec })
}

fn source(spec: &Spec, param: Param) -> Source {
    let is_tied = spec.head.is_some_and(|head| head.tied);
    match param.place {
        Place::HeadDense => Source::whole("lm_head.dense", param),
        Place::HeadNorm => Source::whole("lm_head.layer_norm", param),
        Place::Unembed if param.kind == Kind::Bias && is_tied => {
            Source::named("lm_head.bias".into(), Rows::All)
        }
        Place::Unembed => Source::whole("lm_head.decoder", param),
        _ => bert::encoder_source(param),
    }
}
