//! Tries changes before they are suggested, so that no suggested command breaks the text.

use super::super::folders::Lab;
use super::super::saved_probes::{ProbeChoice, ProbeFinder};
use super::super::suggest::flag;
use super::change::Change;
use crate::datasets::{Dataset, Entity, TargetKind};
use crate::error::{Error, Result};
use crate::model::{Continuation, Generation, Hook, Model, NoHook, generate};
use crate::progress::Silent;
use crate::steering::{TargetReading, TokenChoice, repetition, token_log_probs};
use crate::tokenizer::EncodedPrompt;
use std::collections::HashMap;

/// Number of tokens of a tried text.
const N_TOKENS: usize = 16;
/// Minimum squared distance of a suggested target, as a share of the greatest squared distance.
const FAR_ENOUGH: f64 = 0.1;
/// Maximum increase of a text's median surprise, in nats, for the text to count as whole (not broken). A few unexpected
/// tokens are wanted, such as another answer.
const MORE_SURPRISE: f64 = 1.0;
/// Maximum increase of the share of repeated token pairs in a whole text.
const MORE_REPETITION: f64 = 0.2;
/// The number of prompts that a suggested sweep continues.
const SWEPT: usize = 3;

/// A change that left the text whole, as flags of `mappa steer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TriedChange {
    /// The text that is continued, with the name of a test entity.
    prompt: String,
    /// The entity whose target is set.
    toward: String,
    /// The changed tokens; `None` for all tokens.
    at: Option<String>,
    /// The changed blocks; empty for the default blocks.
    layer: Vec<usize>,
}

impl TriedChange {
    /// Tries changes along the chosen probes: steers a text about a test entity towards the target of a distant entity,
    /// at the entity's own tokens or at all tokens, at the default blocks or at fewer of them.
    ///
    /// Returns the first change that leaves the text whole but different, otherwise the first that leaves it whole;
    /// `None` if there is neither.
    pub(crate) fn find(
        lab: &Lab,
        model: &Model,
        dataset: &Dataset,
        choice: &ProbeChoice,
    ) -> Option<TriedChange> {
        let (from, to) = distant_pair(dataset)?;
        let finder = ProbeFinder::new(lab, model, choice);
        let still = unsteered(model, &prompts(from, &dataset.kind))?;
        let own = format!("span:\"{}\"", from.name);
        let change =
            Change { toward: vec![to.name.parse().ok()?], probes: choice.clone(), ..Change::default() };
        let usual = change.settled(&finder, &mut Silent).ok()?.layer;
        let n = usual.len();
        let mut whole: Option<TriedChange> = None;
        for (at, n_blocks) in
            [(Some(&own), n), (None, n), (Some(&own), n.div_ceil(2)), (Some(&own), n.min(1))]
        {
            let positions = at.map_or(Ok(TokenChoice::All), |at| at.parse()).ok()?;
            let layer = usual[..n_blocks].to_vec();
            let change = Change { layer: layer.clone(), positions, ..change.clone() };
            let Ok(text) = Text::steered(&finder, &still.prompt, &change) else { continue };
            if !text.is_as_whole_as(&still.text) {
                continue;
            }
            let layer = if n_blocks == n { Vec::new() } else { layer };
            let (prompt, toward, at) = (still.prompt.text.clone(), to.name.clone(), at.cloned());
            let found = TriedChange { prompt, toward, at, layer };
            if text.ids != still.text.ids {
                return Some(found);
            }
            whole = whole.or(Some(found));
        }
        whole
    }

    /// Its flags, each after a space.
    pub(crate) fn flags(&self) -> String {
        let at = self.at.as_ref().map_or(String::new(), |at| flag("at", at));
        let blocks: Vec<String> = self.layer.iter().map(usize::to_string).collect();
        let layer = if blocks.is_empty() { String::new() } else { format!(" --layer {}", blocks.join(",")) };
        flag("prompt", &self.prompt) + &flag("toward", &self.toward) + &at + &layer
    }
}

/// The flags of a sweep that measures which doses leave the text whole: along the last target of a dataset, by up to
/// one standard deviation.
pub(crate) fn sweep_flags(dataset: &Dataset) -> String {
    let values = || dataset.entities.iter().filter_map(|entity| entity.target.values().last().copied());
    let n = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / n;
    let spread = rounded((values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt());
    let half = rounded(spread / 2.0);
    let target = dataset.kind.names().last().map(|name| flag("target", name)).unwrap_or_default();
    let tests =
        dataset.entities.iter().filter(|entity| entity.is_test && !entity.name.contains([',', '{', '}']));
    let names: Vec<&str> = tests.take(SWEPT).map(|entity| entity.name.as_str()).collect();
    let prompts = flag("prompts", &names.join(","));
    format!("{target} --doses={},{},0,{half},{spread}{prompts}", -spread, -half)
}

/// The value with two significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// The first test entity, and the first entity that is far enough from it (the farthest one is often little known);
/// both have unique names.
fn distant_pair(dataset: &Dataset) -> Option<(&Entity, &Entity)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    dataset.entities.iter().for_each(|entity| *counts.entry(&entity.name).or_default() += 1);
    let unique = || dataset.entities.iter().filter(|entity| counts[&*entity.name] == 1 && is_plain(entity));
    let from = unique().find(|entity| entity.is_test)?;
    let far = |to: &Entity| {
        let both = from.target.values().into_iter().zip(to.target.values());
        both.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    let farthest = unique().map(far).fold(0.0, f64::max);
    Some((from, unique().find(|to| far(to) >= FAR_ENOUGH * farthest)?))
}

/// True for an entity whose name alone stands for it in `--toward` and in `--at`: `lat=1,lon=2` is a place there.
fn is_plain(Entity { name, .. }: &Entity) -> bool {
    let reading = TargetReading::Entity(name.clone());
    let span = TokenChoice::Span(name.clone());
    name.parse().is_ok_and(|read: TargetReading| read == reading)
        && span.to_string().parse().is_ok_and(|read: TokenChoice| read == span)
}

/// Texts about an entity that a model may continue with its target: a sentence for chat models, and a form from the
/// training texts of the bundled model.
fn prompts(entity: &Entity, kind: &TargetKind) -> Vec<String> {
    let Entity { name, .. } = entity;
    match kind {
        TargetKind::Place => {
            vec![format!("I know that {name} is in the country of"), format!("{name} is in")]
        }
        TargetKind::Year => {
            vec![format!("I know that {name} is from the year"), format!("{name} is from the age of")]
        }
        TargetKind::Quantity(_) => vec![name.clone()],
    }
}

/// A prompt with its unsteered text.
struct Still {
    prompt: EncodedPrompt,
    text: Text,
}

/// The prompt with the least surprising unsteered text.
fn unsteered(model: &Model, prompts: &[String]) -> Option<Still> {
    let one = |prompt: &String| {
        let prompt = model.tokenizer.encode_prompt(prompt, 0..prompt.len())?;
        let text = Text::of(model, &prompt, &mut NoHook)?;
        Ok::<Still, Error>(Still { prompt, text })
    };
    let texts = prompts.iter().filter_map(|prompt| one(prompt).ok());
    texts
        .filter(|still| !still.text.ids.is_empty())
        .min_by(|a, b| a.text.surprise.total_cmp(&b.text.surprise))
}

/// The new tokens of a text, and how expected and repetitive they are.
struct Text {
    ids: Vec<u32>,
    /// The median of the negative log-probabilities under the unsteered model, in nats.
    surprise: f64,
    repetition: f64,
}

impl Text {
    fn steered(finder: &ProbeFinder, prompt: &EncodedPrompt, change: &Change) -> Result<Text> {
        let mut hook = change.steers(finder, prompt, &mut Silent)?;
        Text::of(finder.model(), prompt, &mut hook)
    }

    fn of(model: &Model, prompt: &EncodedPrompt, hook: &mut dyn Hook) -> Result<Text> {
        let plan = Continuation::greedy(N_TOKENS).until_end(model.tokenizer.end_tokens());
        let text: Generation = generate(&model.transformer, &prompt.encoded.ids, &plan, hook)?;
        let ids = text.new_ids().to_vec();
        let mut surprises: Vec<f64> =
            token_log_probs(model, &[text], &mut NoHook)?.concat().iter().map(|log_prob| -log_prob).collect();
        surprises.sort_by(f64::total_cmp);
        let surprise = surprises.get(surprises.len() / 2).copied().unwrap_or(f64::INFINITY);
        Ok(Text { repetition: repetition(&ids), ids, surprise })
    }

    fn is_as_whole_as(&self, still: &Text) -> bool {
        self.surprise <= still.surprise + MORE_SURPRISE
            && self.repetition <= still.repetition + MORE_REPETITION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_with_a_few_unexpected_tokens_but_not_with_many_or_repeated_ones() {
        let text = |surprise, repetition| Text { ids: vec![1], surprise, repetition };
        let still = text(0.4, 0.1);
        for (surprise, repetition, is_whole) in [
            (0.4, 0.1, true),
            (1.3, 0.25, true),
            (1.5, 0.1, false),
            (0.1, 0.5, false),
            (f64::NAN, 0.0, false),
        ] {
            assert_eq!(
                text(surprise, repetition).is_as_whole_as(&still),
                is_whole,
                "{surprise} {repetition}"
            );
        }
    }

    #[test]
    fn doses_have_two_digits() {
        assert_eq!([71.6, 0.01234, 1890.0, 0.0].map(rounded), [72.0, 0.012, 1900.0, 0.0]);
    }
}
