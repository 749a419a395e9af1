//! Sliding windows of attention, as configs describe them.

use super::config::Config;
use crate::error::Result;
use crate::limits::POSITIONS;

/// The length of the window if the config lacks it.
const WINDOW: usize = 4096;

/// The length of the window in tokens; none for `null`.
pub(super) fn window(config: &Config) -> Result<Option<usize>> {
    let default = (!config.has("sliding_window")).then_some(WINDOW);
    Ok(config.maybe_count(POSITIONS, "sliding_window")?.or(default))
}

/// For each layer, true if its attention has a window: by `layer_types`, else by the family's default.
pub(super) fn slides(config: &Config, n_layers: usize, default: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let Some(types) = config.maybe_texts("layer_types")? else {
        return Ok((0..n_layers).map(default).collect());
    };
    if types.len() != n_layers {
        let expected = format!("a list of {n_layers}, one per layer, is supported");
        return Err(config.unsupported("layer_types", format!("a list of {}", types.len()), expected));
    }
    let kind = |name: &String| match name.as_str() {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        other => {
            Err(config.unsupported("layer_types", other, "full_attention or sliding_attention is supported"))
        }
    };
    types.iter().map(kind).collect()
}
