//! The tensors of a checkpoint that contain each parameter, and the head that it has.

use crate::error::Result;
use crate::model::families::{Config, Family};
use crate::model::spec::{Head, Spec};
use crate::model::weights::{Param, Place, TensorSource, Weights};

/// The spec that a config describes, with the head that the checkpoint has.
///
/// # Errors
/// An error in config.json, or in the tensors of a head.
pub(crate) fn spec_of_checkpoint(config: &Config, weights: &Weights) -> Result<Spec> {
    let (family, spec) = (config.family()?, config.spec()?);
    Ok(Spec { head: head(family, &spec, weights)?, ..spec })
}

/// The head, if the checkpoint has one: base models are saved without a head.
///
/// If the config says that the head is tied, but the file has a head with other values than the embedding's, it is
/// not tied, as in transformers.
fn head(family: &Family, spec: &Spec, weights: &Weights) -> Result<Option<Head>> {
    let Some(head) = spec.head else { return Ok(None) };
    let untied = spec.untied();
    let names = TensorNames { family, spec: &untied, weights };
    let exists = |place: Place| names.exist(&names.of(place.weight()));
    if head.tied && exists(Place::Unembed) && exists(Place::Embed) {
        let shape = [spec.d_vocab, spec.d_embed()];
        let (embed, unembed) = (names.of(Place::Embed.weight()), names.of(Place::Unembed.weight()));
        if !weights.same(&embed, &unembed, &shape)? {
            return Ok(untied.head);
        }
    }
    let is_whole =
        (head.tied || exists(Place::Unembed)) && (head.transform.is_none() || exists(Place::HeadDense));
    Ok(Some(head).filter(|_| is_whole))
}

/// The tensor names of one checkpoint.
pub(super) struct TensorNames<'a> {
    pub(super) family: &'a Family,
    pub(super) spec: &'a Spec,
    pub(super) weights: &'a Weights,
}

impl TensorNames<'_> {
    /// The tensors of a parameter; a tied embedding may be stored as the head alone.
    pub(super) fn of(&self, param: Param) -> TensorSource {
        let source = self.stored(self.spec, param);
        match self.spec.head {
            Some(head) if head.tied && param.place == Place::Embed && !self.exist(&source) => {
                let of_head = self.stored(&self.spec.untied(), Place::Unembed.weight());
                if self.exist(&of_head) { of_head } else { source }
            }
            _ => source,
        }
    }

    fn exist(&self, source: &TensorSource) -> bool {
        source.tensors.iter().all(|tensor| self.weights.contains(tensor))
    }

    /// The tensors of a parameter: by the family's name with or without its prefix, or by the older names of
    /// LayerNorm's parameters.
    fn stored(&self, spec: &Spec, param: Param) -> TensorSource {
        let Family { prefix, source, .. } = self.family;
        let mut source = source(spec, param);
        for tensor in &mut source.tensors {
            let older = tensor
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            let names = [tensor.clone(), older];
            let prefixed = names.iter().map(|name| format!("{prefix}{name}"));
            let names: Vec<String> = prefixed.chain(names.clone()).collect();
            let found = names.iter().find(|name| self.weights.contains(name));
            // For a missing tensor, errors use the name in the index.
            if let Some(found) = found.or_else(|| names.iter().find(|name| self.weights.promises(name))) {
                tensor.clone_from(found);
            }
        }
        source
    }
}
