//! Which layers look at a window of tokens only, as configs say it.

use super::Config;
use crate::error::Result;

/// For each layer whether it slides: as `layer_types` says, else as the family does.
pub(super) fn slides(config: &Config, n_layers: usize, usual: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let Some(types) = config.maybe_texts("layer_types")? else {
        return Ok((0..n_layers).map(usual).collect());
    };
    if types.len() != n_layers {
        let expected = format!("a list of {n_layers}, one a layer, is");
        return Err(config.unsupported("layer_types", format!("a list of {}", types.len()), expected));
    }
    let kind = |name: &String| match name.as_str() {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        other => Err(config.unsupported("layer_types", other, "full_attention or sliding_attention is")),
    };
    types.iter().map(kind).collect()
}
