//! The fields of a config.json that transformers reads: a field that it ignores changes no number.
//!
//! # Source
//! `reference_fields.json`, written by tests/fixtures/models/fields_read.py from the code of transformers.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Reference {
    /// Keys that are read from `rope_parameters`.
    rope: BTreeSet<String>,
    /// For each family, the field that each alias stands for.
    aliases: BTreeMap<String, BTreeMap<String, String>>,
    /// For each family, the fields that may change numbers.
    families: BTreeMap<String, BTreeSet<String>>,
}

// A file of this repository; if it were not JSON, every field would be refused and every test would fail.
static REFERENCE: LazyLock<Option<Reference>> =
    LazyLock::new(|| serde_json::from_str(include_str!("reference_fields.json")).ok());

/// The fields that transformers reads for a family, if it has the family.
pub(super) fn of_family(model_type: &str) -> Option<&'static BTreeSet<String>> {
    REFERENCE.as_ref()?.families.get(model_type)
}

/// The fields that transformers reads from an object that describes a rotation.
pub(super) fn of_rotation() -> Option<&'static BTreeSet<String>> {
    Some(&REFERENCE.as_ref()?.rope)
}

/// The alias of a family's field; if both names are given, transformers uses the alias.
pub(super) fn alias(model_type: &str, field: &str) -> Option<&'static str> {
    let aliases = REFERENCE.as_ref()?.aliases.get(model_type)?;
    aliases.iter().find(|(_, meant)| *meant == field).map(|(alias, _)| alias.as_str())
}

/// True if two names differ by one letter, or by one letter that is moved.
pub(super) fn is_typo(written: &str, meant: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (written.chars().collect(), meant.chars().collect());
    let n_same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[n_same..], &b[n_same..]);
    let n_same = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - n_same], &b[..b.len() - n_same]);
    let is_moved = |x: &[char], y: &[char]| x[1..] == y[..y.len() - 1] && x[0] == y[y.len() - 1];
    match (a.len(), b.len()) {
        (1, 0) | (0, 1) | (1, 1) => true,
        (n, m) if n == m && n > 1 => is_moved(a, b) || is_moved(b, a),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::families::FAMILIES;

    #[test]
    fn every_family_except_the_one_with_its_own_code_is_known() {
        let unknown: Vec<&str> =
            FAMILIES.iter().map(|f| f.model_type).filter(|name| of_family(name).is_none()).collect();
        assert_eq!(unknown, ["chatglm"]);
        assert!(of_family("llama").unwrap().contains("rms_norm_eps"));
        assert!(of_rotation().unwrap().contains("truncate"));
        assert_eq!(alias("gpt2", "n_embd"), Some("hidden_size"));
    }

    #[test]
    fn a_typo_is_one_letter_or_one_letter_at_another_place() {
        for written in ["rope_tetha", "rope_thet", "rope_thetaa", "rope_tjeta", "ropetheta"] {
            assert!(is_typo(written, "rope_theta"), "{written}");
        }
        for written in ["rope_scaling", "theta", "rope_teahta", "rope_ehtta"] {
            assert!(!is_typo(written, "rope_theta"), "{written}");
        }
    }
}
