//! The hook that pools a batch's entities during the pass, and passes each hook point's rows on immediately.

use super::pooling::Pooling;
use super::prepared::Prepared;
use crate::error::{Error, Result};
use crate::hook_point::HookPoint;
use crate::model::{Forest, Hook, RowSelection, TokenCache};
use candle_core::Tensor;

/// Receives the rows of one batch, and may stop its pass.
pub(super) trait Outlet: Send {
    /// Takes the rows at a hook point, grouped by entity, `[n_rows, width]`.
    fn put(&mut self, point: HookPoint, values: Vec<f32>) -> Result<()>;

    /// Returns true if the pass should stop; asked at every hook point.
    fn should_stop(&self) -> bool;
}

/// Records one batch. Only one hook point's values are in memory at a time, so that memory does not grow
/// with the number of layers.
pub(super) struct Recorder<'a> {
    prepared: &'a Prepared<'a>,
    points: &'a [HookPoint],
    entities: &'a [usize],
    forest: Forest,
    /// The forest's nodes that are pooled: ascending, without duplicates.
    kept: RowSelection,
    /// For each entity, the indices of its tokens in `kept`.
    places: Vec<Vec<usize>>,
    outlet: &'a mut dyn Outlet,
    n_points: usize,
}

impl<'a> Recorder<'a> {
    /// Lays out a batch as a forest.
    pub(super) fn new(
        prepared: &'a Prepared<'a>,
        points: &'a [HookPoint],
        batch: usize,
        outlet: &'a mut dyn Outlet,
    ) -> Result<Recorder<'a>> {
        let entities = prepared.batch(batch);
        let texts: Vec<Vec<u32>> = entities.iter().map(|&entity| prepared.context(entity).to_vec()).collect();
        let (forest, ends) = prepared.model.transformer.forest(&texts)?;
        let read = |(&entity, end): (&usize, u32)| forest.path(end)[prepared.pooled_tokens(entity)].to_vec();
        let nodes: Vec<Vec<u32>> = entities.iter().zip(ends).map(read).collect();
        let mut place = vec![usize::MAX; forest.len()];
        nodes.iter().flatten().for_each(|&node| place[node as usize] = 0);
        let kept: Vec<u32> = (0..forest.len() as u32).filter(|&node| place[node as usize] == 0).collect();
        kept.iter().zip(0..).for_each(|(&node, at)| place[node as usize] = at);
        let places = nodes.iter().map(|nodes| nodes.iter().map(|&n| place[n as usize]).collect()).collect();
        let kept = RowSelection::new(&kept)?;
        Ok(Recorder { prepared, points, entities, forest, kept, places, outlet, n_points: 0 })
    }

    /// Runs the pass; `first` is the cached output of block 0, if any.
    pub(super) fn pass(&mut self, first: Option<&TokenCache>) -> Result<()> {
        let forest = self.forest.clone();
        self.prepared.model.transformer.forward_with_cache(&forest, first, self)?;
        if self.n_points == self.points.len() {
            return Ok(());
        }
        Err(Error::Internal(format!("{} of {} hook points were reached", self.n_points, self.points.len())))
    }

    /// Pools each entity's rows and passes them to the outlet; `values` belong to the kept nodes, `[n_kept, width]`.
    fn pool(&mut self, point: HookPoint, values: &[f32], width: usize) -> Result<()> {
        self.check_finite(point, values, width)?;
        let row = |place: usize| &values[place * width..(place + 1) * width];
        let mut rows: Vec<f32> = Vec::with_capacity(self.entities.len() * width);
        for places in &self.places {
            match self.prepared.recording.pooling {
                Pooling::Mean => {
                    let mut sums = vec![0f64; width];
                    for &place in places {
                        sums.iter_mut().zip(row(place)).for_each(|(sum, x)| *sum += f64::from(*x));
                    }
                    rows.extend(sums.iter().map(|sum| (sum / places.len() as f64) as f32));
                }
                Pooling::Max => {
                    let at = rows.len();
                    rows.extend(row(places[0]));
                    for &place in &places[1..] {
                        rows[at..].iter_mut().zip(row(place)).for_each(|(most, x)| *most = most.max(*x));
                    }
                }
                Pooling::Last | Pooling::First | Pooling::Every => {
                    places.iter().for_each(|&place| rows.extend(row(place)));
                }
            }
        }
        self.outlet.put(point, rows)
    }

    /// Refuses values that are not finite; the error names entity and token of the first one.
    fn check_finite(&self, point: HookPoint, values: &[f32], width: usize) -> Result<()> {
        let Some(at) = values.iter().position(|x| !x.is_finite()) else { return Ok(()) };
        let reads = |places: &Vec<usize>| places.iter().position(|place| *place == at / width);
        let mut found = self.entities.iter().zip(&self.places);
        let place = match found.find_map(|(&entity, places)| Some((entity, reads(places)?))) {
            Some((entity, token)) => {
                self.prepared.token_words(entity, self.prepared.pooled_tokens(entity).start + token)
            }
            None => "a token outside every entity".to_string(),
        };
        Err(Error::NonFinite {
            place: format!("{point} of {place}"),
            found: values[at].into(),
            advice: "its batch was not recorded; the model's weights or its config may be wrong: \
                     compare with transformers"
                .into(),
        })
    }
}

impl Hook for Recorder<'_> {
    fn at(&mut self, point: HookPoint, stream: Tensor) -> Result<Tensor> {
        if self.outlet.should_stop() {
            return Err(Error::Stopped { kept: 0, of: 0 });
        }
        if self.points.contains(&point) {
            let kept = self.kept.rows(&stream)?; // [n_kept, width]
            let width = kept.dim(1)?;
            self.pool(point, &kept.flatten_all()?.to_vec1::<f32>()?, width)?;
            self.n_points += 1;
        }
        Ok(stream)
    }

    fn sees(&self, point: HookPoint) -> bool {
        self.points.contains(&point)
    }

    fn last_layer(&self) -> Option<usize> {
        self.points.iter().map(|point| point.layer()).max()
    }

    fn stops_before_block(&self) -> bool {
        HookPoint::end_before_block(self.points.iter())
    }

    fn last_rows(&self) -> Option<Vec<u32>> {
        Some(self.kept.distinct())
    }
}
