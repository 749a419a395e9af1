//! The metadata keys of one architecture.

use super::header::Value;
use super::metadata::Metadata;
use crate::error::Result;
use crate::limits::{ANY, Limit};

/// The keys of one architecture.
pub(super) struct Keys<'a> {
    pub metadata: &'a Metadata<'a>,
    pub architecture: &'static str,
}

impl Keys<'_> {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// A whole number in a range; for a list with one number per layer, the number that all layers have.
    pub(super) fn count(&self, limit: Limit, name: &str) -> Result<usize> {
        self.metadata.required(&self.key(name), self.maybe_count(limit, name))
    }

    pub(super) fn maybe_count(&self, limit: Limit, name: &str) -> Result<Option<usize>> {
        self.metadata.count_of_layers(limit, &self.key(name), &self.key("block_count"))
    }

    pub(super) fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.metadata.number(&self.key(name))
    }

    pub(super) fn number(&self, name: &str) -> Result<f64> {
        let key = self.key(name);
        self.metadata.required(&key, self.metadata.number(&key))
    }

    /// Refuses a number other than the supported one; a missing key is accepted.
    pub(super) fn only(&self, name: &str, supported: usize, expected: &str) -> Result<()> {
        match self.maybe_count(ANY, name)?.filter(|n| *n != supported) {
            Some(n) => Err(self.metadata.unsupported(&self.key(name), &Value::Integer(n as i64), expected)),
            None => Ok(()),
        }
    }
}
