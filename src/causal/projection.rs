//! Ablation of a subspace: the stream without it, or with its mean, and what the model then answers and loses.

use super::question::Question;
use super::streams::{array_of, values};
use super::subspace::Subspace;
use crate::error::Result;
use crate::hook_point::HookPoint;
use crate::model::{Forest, Hook, NoHook, Tensor, Transformer};
use ndarray::{Array1, Array2};
use rayon::prelude::*;

/// Texts of one pass.
const BATCH: usize = 8;
/// Rows whose logits are in memory at once.
const ROWS: usize = 256;

/// The value of the stream in an ablated subspace.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// Zero: the subspace is projected out.
    Zero,
    /// The part of this mean in the subspace.
    Mean(Array1<f64>),
}

/// The hook that ablates a subspace at the output of a block, at every token of the text.
#[derive(Debug, Clone)]
pub struct Projection {
    layer: usize,
    subspace: Subspace,
    /// The mean, or zeros, `[d_model]`.
    fill: Array1<f32>,
    /// Special tokens before the text, which stay as they are.
    n_special: u32,
    rows: Vec<bool>,
}

impl Projection {
    /// Ablates a subspace at the output of block `layer`; the first `n_special` tokens of a text stay as they are.
    pub fn new(layer: usize, subspace: Subspace, fill: &Fill, n_special: usize) -> Projection {
        let fill = match fill {
            Fill::Zero => Array1::zeros(subspace.basis().ncols()),
            Fill::Mean(mean) => mean.mapv(|x| x as f32),
        };
        Projection { layer, subspace, fill, n_special: n_special as u32, rows: vec![] }
    }
}

impl Hook for Projection {
    fn begin(&mut self, forest: &Forest) -> Result<()> {
        self.rows = forest.new_positions().iter().map(|position| *position >= self.n_special).collect();
        Ok(())
    }

    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if point != HookPoint::ResidPost(self.layer) {
            return Ok(stream);
        }
        let rows = array_of(values(&stream)?, stream.dim(1)?)?;
        let mut excess = self.subspace.project(&(&rows - &self.fill));
        for (mut row, is_text) in excess.rows_mut().into_iter().zip(&self.rows) {
            if !is_text {
                row.fill(0.0);
            }
        }
        super::interchange::tensor_of(&(rows - excess), stream.device())
    }

    fn sees(&self, point: HookPoint) -> bool {
        point == HookPoint::ResidPost(self.layer)
    }
}

/// The texts on which an ablation is measured.
pub struct AblationTexts<'a> {
    /// The model.
    pub model: &'a Transformer,
    /// The question.
    pub question: &'a Question,
    /// The texts of the question; each is followed by its true answer.
    pub texts: &'a [usize],
    /// Sentences about other things.
    pub control: &'a [Vec<u32>],
}

/// The measurements during an ablation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ablated {
    /// The share of correct answers.
    pub accuracy: f64,
    /// The mean loss per token of the texts with their answers, in nats.
    pub entity_loss: f64,
    /// The mean loss per token of the control sentences, in nats.
    pub control_loss: f64,
}

impl AblationTexts<'_> {
    /// Measures answers and losses; `None` without an ablation.
    ///
    /// # Errors
    /// Those of [`Transformer::forward`].
    pub fn measure(&self, ablation: Option<&Projection>) -> Result<Ablated> {
        let question = self.question;
        let with_answer = |text: &usize| {
            let text = &question.texts[*text];
            [&text.ids[..], &question.answers[text.answer..=text.answer]].concat()
        };
        let texts: Vec<Vec<u32>> = self.texts.iter().map(with_answer).collect();
        let entity = self.losses(&texts, ablation)?;
        let right = entity.iter().zip(self.texts).filter(|(losses, text)| {
            // The last row predicts the answer.
            losses.answer == Some(question.texts[**text].answer)
        });
        let n_right = right.count();
        Ok(Ablated {
            accuracy: n_right as f64 / self.texts.len().max(1) as f64,
            entity_loss: mean(&entity),
            control_loss: mean(&self.losses(self.control, ablation)?),
        })
    }

    fn losses(&self, texts: &[Vec<u32>], ablation: Option<&Projection>) -> Result<Vec<Losses>> {
        let some = |texts: &[Vec<u32>]| {
            let contexts: Vec<Vec<u32>> = texts.iter().map(|ids| ids[..ids.len() - 1].to_vec()).collect();
            let (forest, last) = Forest::of_texts(&contexts)?;
            let stream = match ablation {
                Some(ablation) => self.model.forward(&forest, None, &mut ablation.clone())?,
                None => self.model.forward(&forest, None, &mut NoHook)?,
            };
            let logits = logits_of_rows(self.model, &stream)?;
            let of_text = |(ids, last): (&Vec<u32>, &u32)| {
                let path = forest.path(*last);
                let losses = path.iter().zip(&ids[1..]).map(|(node, id)| {
                    let row = &logits[*node as usize];
                    row.log_total - f64::from(row.logits[*id as usize])
                });
                let of_last = &logits[*last as usize].logits;
                let answers = self.question.answers.iter().map(|token| of_last[*token as usize]);
                let answer = answers.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
                Losses { sum: losses.sum(), n: path.len(), answer: answer.map(|(answer, _)| answer) }
            };
            Ok(texts.iter().zip(&last).map(of_text).collect::<Vec<Losses>>())
        };
        let usable: Vec<Vec<u32>> = texts.iter().filter(|ids| ids.len() > 1).cloned().collect();
        Ok(usable.par_chunks(BATCH).map(some).collect::<Result<Vec<_>>>()?.concat())
    }
}

/// The losses of one text.
#[derive(Clone)]
struct Losses {
    sum: f64,
    n: usize,
    /// The answer after the text.
    answer: Option<usize>,
}

fn mean(texts: &[Losses]) -> f64 {
    let n: usize = texts.iter().map(|text| text.n).sum();
    texts.iter().map(|text| text.sum).sum::<f64>() / n as f64
}

/// The logits of a node, and the logarithm of the sum of their exponentials.
struct LogitRow {
    logits: Vec<f32>,
    log_total: f64,
}

fn logits_of_rows(model: &Transformer, stream: &Tensor) -> Result<Vec<LogitRow>> {
    let (n, mut all) = (stream.dim(0)?, Vec::new());
    for from in (0..n).step_by(ROWS) {
        let rows = stream.narrow(0, from, ROWS.min(n - from))?;
        for logits in model.logits(&rows)?.to_vec2::<f32>()? {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = logits.iter().map(|x| f64::from(x - most).exp()).sum();
            all.push(LogitRow { logits, log_total: total.ln() + f64::from(most) });
        }
    }
    Ok(all)
}

/// The mean of rows.
///
/// # Shapes
/// `[n, d_model]` to `[d_model]`.
pub fn mean_row(rows: &Array2<f32>) -> Array1<f64> {
    let mut sum = Array1::zeros(rows.ncols());
    rows.rows().into_iter().for_each(|row| sum += &row.mapv(f64::from));
    sum / rows.nrows().max(1) as f64
}
