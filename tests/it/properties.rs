//! Laws over random inputs: prefix trees, names in texts, CSV files. The journal's law is in its own file.
//!
//! The inputs are the same in each run, unless `PROPTEST_RNG_SEED` sets another seed; `PROPTEST_CASES` sets their number.

use super::root;
use mappa::activations::{PromptedDataset, Recording, place_texts};
use mappa::datasets::{Prompt, parse};
use mappa::hook_point::HookPoint;
use mappa::model::{Capture, Forest, Model, Precision, Spec};
use mappa::results::{PredictionRow, load_rows, save_rows};
use mappa::tokenizer::Tokenizer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError};
use std::collections::BTreeSet;
use std::path::Path;

/// A number of cases from a fixed seed; the environment may change both.
fn cases(number: u32) -> ProptestConfig {
    let from_environment = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    ProptestConfig {
        cases: from_environment("PROPTEST_CASES").map_or(number, |cases: u64| cases as u32),
        rng_seed: RngSeed::Fixed(from_environment("PROPTEST_RNG_SEED").unwrap_or(20)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts of few different tokens, so that they share prefixes; some are equal, and some are prefixes of others.
fn texts() -> impl Strategy<Value = Vec<Vec<u32>>> {
    vec(vec(0_u32..3, 1..7), 1..12)
}

/// Letters of several scripts, combining marks, signs that CSV escapes, and white space.
const LETTERS: &str = "[a-zA-Z0-9 .,;:'\"()éßøЖλ東京ก\u{651}\u{200d}🌍-]{1,24}";

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let names = ["llama", "gpt2", "bert", "t5", "qwen2"];
    let open = |name| (name, Tokenizer::open(&root("tests/fixtures/tokenizers").join(name)).unwrap());
    names.into_iter().map(open).collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_forest_has_one_node_per_distinct_prefix_and_spells_each_text(texts in texts()) {
        let (forest, ends) = Forest::of_texts(&texts).map_err(fail)?;
        let prefixes: BTreeSet<&[u32]> =
            texts.iter().flat_map(|text| (1..=text.len()).map(move |length| &text[..length])).collect();
        prop_assert_eq!(forest.len(), prefixes.len());
        for (text, end) in texts.iter().zip(ends) {
            prop_assert_eq!(&forest.tokens_to(end), text);
            let path = forest.path(end);
            prop_assert_eq!(path.len(), text.len());
            prop_assert!(path.iter().zip(&path[1..]).all(|(node, next)| forest.parent(*next) == Some(*node)));
        }
    }

    #[test]
    fn rows_of_any_text_and_number_are_read_back(
        names in vec((any::<String>(), any::<String>()), 1..8),
        numbers in vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 16),
    ) {
        let row = |(i, (name, group)): (usize, (String, String))| PredictionRow {
            dataset: "d".into(),
            name,
            group,
            split: "test".into(),
            hook_point: HookPoint::ResidPost(i).to_string(),
            target: "year".into(),
            truth: numbers[2 * i],
            prediction: numbers[2 * i + 1],
        };
        let rows: Vec<PredictionRow> = names.into_iter().enumerate().map(row).collect();
        let folder = tempfile::tempdir().map_err(fail)?;
        let path = folder.path().join("predictions.csv");
        save_rows(&path, &rows).map_err(fail)?;
        prop_assert_eq!(load_rows::<PredictionRow>(&path).map_err(fail)?, rows);
    }

    #[test]
    fn a_dataset_keeps_each_name_and_number_or_names_the_row(
        names in vec(LETTERS, 1..20),
        years in vec(-4000_i32..2100, 20),
    ) {
        let mut file = csv::Writer::from_writer(Vec::new());
        file.write_record(["name", "year"]).map_err(fail)?;
        for (name, year) in names.iter().zip(&years) {
            file.write_record([name, &year.to_string()]).map_err(fail)?;
        }
        let bytes = file.into_inner().map_err(fail)?;
        match parse(Path::new("own.csv"), &bytes) {
            Ok(dataset) => {
                let found: Vec<(&str, f64)> =
                    dataset.entities.iter().map(|e| (e.name.as_str(), e.target.values()[0])).collect();
                let expected: Vec<(&str, f64)> =
                    names.iter().zip(&years).map(|(name, year)| (name.trim(), f64::from(*year))).collect();
                prop_assert_eq!(found, expected);
            }
            Err(error) => {
                let error = error.to_string();
                let is_blank = names.iter().any(|name| name.trim().is_empty());
                prop_assert!(is_blank && error.contains("own.csv"), "{}", error);
                prop_assert!(!error.contains(char::is_control), "{:?}", error);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn the_tokens_of_a_placed_name_cover_it_and_nothing_else(
        name in LETTERS,
        before in "[a-zé ,.]{0,12}",
        after in "[a-zé ,.]{0,12}",
    ) {
        prop_assume!(!name.trim().is_empty());
        let mut file = csv::Writer::from_writer(Vec::new());
        file.write_record(["name", "year"]).map_err(fail)?;
        file.write_record([name.trim(), "1900"]).map_err(fail)?;
        let dataset = parse(Path::new("own.csv"), &file.into_inner().map_err(fail)?).map_err(fail)?;
        let prompt = Prompt::new(&format!("{before}{{}}{after}")).map_err(fail)?;
        for (kind, tokenizer) in tokenizers() {
            let texts = PromptedDataset { dataset: &dataset, prompt: &prompt };
            let placed = place_texts(&tokenizer, &spec(&tokenizer), texts, Recording::default()).map_err(fail)?;
            prop_assert_eq!(placed.spans.len() + placed.unplaced.len(), 1);
            for span in placed.spans {
                let spelled = tokenizer.spell(span.tokens()).map_err(fail)?;
                let letters = |text: &str| -> String { text.chars().filter(|c| c.is_ascii_alphanumeric()).collect() };
                let (found, expected) = (letters(&spelled).to_lowercase(), letters(&name).to_lowercase());
                let knows_all = tokenizer.unknown_token().is_none_or(|unknown| !span.tokens().contains(&unknown));
                if tokenizer.decodes_exactly() && knows_all {
                    prop_assert_eq!(&found, &expected, "{}: {:?} as {:?}", kind, name, spelled);
                }
                prop_assert!(span.last < span.ids.len() && span.first <= span.last);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn rows_of_a_random_forest_equal_those_of_each_text_alone(texts in texts()) {
        for name in ["llama", "gpt2", "bert"] {
            let model = Model::load_transformer(&root("tests/fixtures/models").join(name), Precision::F32);
            let model = model.map_err(fail)?;
            let point = HookPoint::ResidPost(model.spec.n_layers - 1);
            let rows = |forest: &Forest| -> Result<Vec<Vec<f32>>, TestCaseError> {
                let mut capture = Capture::all(&[point]);
                model.forward(forest, None, &mut capture).map_err(fail)?;
                capture.get(point).map_err(fail)?.to_vec2().map_err(fail)
            };
            let (forest, ends) = model.forest(&texts).map_err(fail)?;
            let together = rows(&forest)?;
            for (text, end) in texts.iter().zip(ends) {
                let (alone, last) = model.forest(std::slice::from_ref(text)).map_err(fail)?;
                let alone = rows(&alone)?;
                let pairs = alone[last[0] as usize].iter().zip(&together[end as usize]);
                let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // Measured: at most 8e-7.
                prop_assert!(apart < 1e-5, "{}: {}", name, apart);
            }
        }
    }
}

/// A spec with this tokenizer's vocabulary; only its vocabulary and its context length matter here.
fn spec(tokenizer: &Tokenizer) -> Spec {
    super::tiny_spec(tokenizer.largest_id().map_or(1, |id| id as usize + 1))
}
