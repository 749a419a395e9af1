//! RoBERTa: BERT with positions counted from the row after padding's, and another head.

use super::bert;
use super::config::Config;
use super::family::Family;
use crate::error::Result;
use crate::limits::ANY;
use crate::model::spec::{ActivationFn, Embedding, Head, PositionEmbedding, Spec};
use crate::model::weights::{Param, ParamKind, Place};
use crate::model::weights::{SliceRows, TensorSource};

pub(super) const FAMILY: Family = Family { model_type: "roberta", spec, source, prefix: "roberta." };

fn spec(config: &Config) -> Result<Spec> {
    let padding = match config.maybe_number("pad_token_id")? {
        Some(id) if (0.0..=ANY.most as f64).contains(&id) && id.fract() == 0.0 => id as usize,
        None if !config.is_null("pad_token_id") => 1,
        _ => {
            return Err(config.unsupported(
                "pad_token_id",
                "not a token",
                "a token id, after which positions are counted, is supported",
            ));
        }
    };
    let spec = bert::common_spec(config, "roberta", padding + 1)?;
    let embedding = Embedding { positions: PositionEmbedding::AfterPadding { padding }, ..spec.embedding };
    // The head's activation is exact gelu for every `hidden_act`.
    let head = spec.head.map(|head| Head { transform: Some(ActivationFn::Gelu), ..head });
    Ok(Spec { embedding, head, ..spec })
}

fn source(spec: &Spec, param: Param) -> TensorSource {
    let is_tied = spec.head.is_some_and(|head| head.tied);
    match param.place {
        Place::HeadDense => TensorSource::whole("lm_head.dense", param),
        Place::HeadNorm => TensorSource::whole("lm_head.layer_norm", param),
        Place::Unembed if param.kind == ParamKind::Bias && is_tied => {
            TensorSource::named("lm_head.bias".into(), SliceRows::All)
        }
        Place::Unembed => TensorSource::whole("lm_head.decoder", param),
        _ => bert::encoder_source(param),
    }
}
