//! The controls and the ablations at the reported layer.

use super::asked::Asked;
use super::measured::{Named, Names, Pairs, Report, SearchControl, of_probe, random_ones};
use super::settings::CauseSettings;
use crate::causal::{
    AblationTexts, Exchange, Fill, Interchange, Pair, Projection, SourceStreams, Subspace, arbitrary_answers,
    mean_row,
};
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Model, untrained};
use crate::probes::StoredProbe;
use crate::results::{DAS, DAS_ELSEWHERE, InterchangeRow, NOTHING, STREAM_UNTRAINED, SubspaceAblationRow};

/// Sentences that name no place, date or person.
const CONTROL: &str = include_str!("../control_sentences.txt");
/// The number of entities' texts for the losses.
const LOSS_TEXTS: usize = 100;

/// The parts of a test that its controls need.
pub(super) struct Controls<'a> {
    pub(super) model: &'a Model,
    pub(super) asked: &'a Asked,
    pub(super) settings: &'a CauseSettings,
    pub(super) names: &'a Names,
    /// The pairs of training and of the test.
    pub(super) pairs: [&'a [Pair]; 2],
    pub(super) layer: usize,
    pub(super) stored: &'a StoredProbe,
    /// The subspace found at the layer.
    pub(super) das: &'a Subspace,
}

impl Controls<'_> {
    /// The rows of all controls: arbitrary answers, another layer, an untrained model.
    pub(super) fn interchange(&self, report: Report) -> Result<Vec<InterchangeRow>> {
        let (layer, question) = (self.layer, &self.asked.question);
        let model = &self.model.transformer;
        let elsewhere = elsewhere(layer, model.spec.n_layers);
        let mut layers = vec![layer, elsewhere];
        layers.dedup();
        let sources = SourceStreams::new(model, question, &layers)?;
        let interchange = |pairs| Interchange::new(model, question, &sources, pairs);
        let (training, test) = (interchange(self.pairs[0])?, interchange(self.pairs[1])?);
        let labels = question.labels();
        let pairs = self.pairs_of(&training, &test, &labels);
        let n_answers = question.answers.len();
        let arbitrary = arbitrary_answers(question.texts.len(), n_answers, self.settings.seed);
        let rank = pairs.rank(self.stored);
        let mut rows = vec![
            pairs.control(layer, rank, SearchControl::Arbitrary(&arbitrary), &mut |done, of| {
                report(done, 2 * of)
            })?,
            pairs.row(elsewhere, DAS_ELSEWHERE, Exchange::Subspace(self.das))?,
        ];
        let model = untrained(&model.spec, self.settings.seed)?;
        let sources = SourceStreams::new(&model, question, &[layer])?;
        let interchange = |pairs| Interchange::new(&model, question, &sources, pairs);
        let (training, test) = (interchange(self.pairs[0])?, interchange(self.pairs[1])?);
        let pairs = self.pairs_of(&training, &test, &labels);
        rows.push(
            pairs
                .control(layer, rank, SearchControl::Untrained, &mut |done, of| report(of + done, 2 * of))?,
        );
        rows.push(pairs.row(layer, STREAM_UNTRAINED, Exchange::Stream)?);
        Ok(rows)
    }

    fn pairs_of<'p>(
        &'p self,
        training: &'p Interchange,
        test: &'p Interchange,
        labels: &'p [usize],
    ) -> Pairs<'p> {
        let (names, settings, chance) = (self.names, self.settings, self.asked.question.chance());
        Pairs { training, test, names, settings, labels, chance }
    }

    /// The answers and losses while each subspace is ablated.
    pub(super) fn ablations(&self, report: Report) -> Result<Vec<SubspaceAblationRow>> {
        let (layer, tokenizer) = (self.layer, &self.model.tokenizer);
        let question = &self.asked.question;
        let control =
            CONTROL.lines().map(|line| Ok(tokenizer.encode(line)?.ids)).collect::<Result<Vec<_>>>()?;
        let mut texts = self.asked.texts(true);
        // The texts are sorted by their answers; a part has some of every answer.
        let step = texts.len().div_ceil(LOSS_TEXTS).max(1);
        texts = texts.into_iter().step_by(step).collect();
        let texts =
            AblationTexts { model: &self.model.transformer, question, texts: &texts, control: &control };
        let sources = SourceStreams::new(&self.model.transformer, question, &[layer])?;
        let mean = Fill::Mean(mean_row(&sources.rows(layer, &self.asked.texts(false))?));
        let rank = self.settings.rank.unwrap_or(self.stored.probe.n_targets());
        let mut all = vec![Named { name: DAS, seed: 0, subspace: self.das.clone() }];
        all.extend(of_probe(self.stored)?);
        all.extend(random_ones(self.settings, rank, self.das.basis().ncols())?);
        let mut rows = vec![self.ablation(&texts, NOTHING, None)?];
        let total = 2 * all.len() + 1;
        for (i, one) in all.iter().enumerate() {
            for (fill, words) in [(&Fill::Zero, "zero"), (&mean, "mean")] {
                let projection = Projection::new(layer, one.subspace.clone(), fill, self.asked.n_special);
                let row = self.ablation(&texts, one.name, Some(&projection))?;
                let rank = one.subspace.rank();
                rows.push(SubspaceAblationRow { rank, seed: one.seed, fill: words.into(), ..row });
            }
            report(2 * i + 3, total)?;
        }
        Ok(rows)
    }

    fn ablation(
        &self,
        texts: &AblationTexts,
        name: &str,
        projection: Option<&Projection>,
    ) -> Result<SubspaceAblationRow> {
        let measured = texts.measure(projection)?;
        let Names { dataset, model, prompt } = self.names.clone();
        Ok(SubspaceAblationRow {
            dataset,
            model,
            prompt,
            hook_point: HookPoint::ResidPost(self.layer).to_string(),
            layer: self.layer,
            subspace: name.into(),
            rank: 0,
            seed: 0,
            fill: String::new(),
            n_texts: texts.texts.len(),
            accuracy: measured.accuracy,
            entity_loss: measured.entity_loss,
            control_loss: measured.control_loss,
        })
    }
}

/// The layer for the control: the first, or for a layer in the first half the one at half the depth behind it.
fn elsewhere(layer: usize, n_layers: usize) -> usize {
    if 2 * layer >= n_layers { 0 } else { (layer + n_layers / 2).min(n_layers - 1) }
}
