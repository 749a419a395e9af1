//! Methods by their names on the command line.

use crate::error::{Error, Result};
use crate::probes::readers::{CLASSIFIERS, ChosenRegressor, Classifier, REGRESSORS, Regressor};
use crate::results::RIDGE;

/// A method of prediction, found by its name.
#[derive(Debug, Clone, Copy)]
pub enum Method {
    /// The ridge probe; always fitted.
    Ridge,
    /// Another regressor.
    Regressor(ChosenRegressor),
    /// A classifier.
    Classifier(&'static dyn Classifier),
}

impl Method {
    /// Finds a method by its name, which a colon and a number may follow (`circle:12`).
    ///
    /// # Errors
    /// [`Error::Invalid`] listing the available methods, or naming the number.
    pub fn find(written: &str) -> Result<Method> {
        let (name, option) = match written.split_once(':') {
            None => (written, None),
            Some((name, number)) => (name, Some(number)),
        };
        let option = option.map(|number| match number.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Error::invalid("--method", written, format!("a number after `{name}:`"))),
        });
        let option = option.transpose()?;
        let of_name = |regressor: &&dyn Regressor| regressor.name() == name;
        let regressor =
            || REGRESSORS.into_iter().find(of_name).map(|regressor| ChosenRegressor { regressor, option });
        let classifier =
            || CLASSIFIERS.into_iter().find(|c| option.is_none() && c.name() == name).map(Method::Classifier);
        let found = match option {
            None if name == RIDGE => Some(Method::Ridge),
            _ => regressor().map(Method::Regressor).or_else(classifier),
        };
        found.ok_or_else(|| {
            let of_targets = REGRESSORS.map(|regressor| regressor.name()).join(", ");
            let of_classes = CLASSIFIERS.map(|classifier| classifier.name()).join(", ");
            let expected = format!("{RIDGE}, {of_targets}, or with --classes {of_classes}");
            Error::invalid("--method", written, expected)
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
            "ridge, ols, pca, elastic-net, mlp, sphere, rank, circle, log-time, piecewise-time, k-sparse",
            "--classes logistic, mean-difference",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    #[test]
    fn a_number_may_follow_a_name() {
        assert!(
            matches!(Method::find("circle:12"), Ok(Method::Regressor(chosen)) if chosen.option == Some(12.0))
        );
        for odd in ["circle:", "circle:x", "circle:inf", "ridge:2", "logistic:3"] {
            assert!(Method::find(odd).unwrap_err().to_string().contains("--method"), "{odd}");
        }
    }
}
