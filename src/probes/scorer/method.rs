//! Methods by their names on the command line.

use crate::error::{Error, Result};
use crate::probes::readers::{CLASSIFIERS, Classifier, REGRESSORS, Regressor};
use crate::results::RIDGE;

/// A method of prediction, found by its name.
#[derive(Debug, Clone, Copy)]
pub enum Method {
    /// The ridge probe; always fitted.
    Ridge,
    /// Another regressor.
    Regressor(&'static dyn Regressor),
    /// A classifier.
    Classifier(&'static dyn Classifier),
}

impl Method {
    /// Finds a method by its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] listing the available methods.
    pub fn find(name: &str) -> Result<Method> {
        let regressor = || REGRESSORS.into_iter().find(|r| r.name() == name).map(Method::Regressor);
        let classifier = || CLASSIFIERS.into_iter().find(|c| c.name() == name).map(Method::Classifier);
        let found = if name == RIDGE { Some(Method::Ridge) } else { regressor().or_else(classifier) };
        found.ok_or_else(|| {
            let of_targets = REGRESSORS.map(|regressor| regressor.name()).join(", ");
            let of_classes = CLASSIFIERS.map(|classifier| classifier.name()).join(", ");
            let expected = format!("{RIDGE}, {of_targets}, or with --classes {of_classes}");
            Error::invalid("--method", name, expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_method_is_refused_with_the_available_ones() {
        let error = Method::find("forest").unwrap_err().to_string();
        for part in [
            "forest",
            "ridge, ols, pca, elastic-net, mlp, sphere, rank",
            "--classes logistic, mean-difference",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
}
