//! One walk of rows along a band for each penalty: leverages and readings at once.

use super::band::{Band, Factors};
use ndarray::{Array2, ArrayView2, Axis, s};
use pulp::{Arch, Simd, WithSimd};

/// Rows that walk together: as many as the widest vector register holds values.
const LANES: usize = 8;
/// Columns that are read in one walk at most.
const COLUMNS: usize = 4;
/// The widest band that is walked along; a walk's last values then fit into the registers there are.
const WIDEST: usize = 16;

/// What rows meet on their walks along a band: one for each penalty and some of the columns by which they are read.
pub(super) struct Walks {
    n_axes: usize,
    n_penalties: usize,
    n_columns: usize,
    /// Those of the first penalty first.
    walks: Vec<Way>,
}

/// What each step needs, of `M + λ = L D Lᵀ` and of up to [`COLUMNS`] columns `a`; steps of no effect are added until the
/// width divides their number.
struct Way {
    width: usize,
    /// What stands in each row of `−L` so many places, and one, before the diagonal, `[n_steps, width]`.
    carried: Vec<f64>,
    /// One over each of `D`, `[n_steps]`.
    over_pivots: Vec<f64>,
    /// How many columns are meant.
    n_columns: usize,
    /// `D⁻¹ L⁻¹ a`; columns that are not meant are 0, `[n_steps, 2]` or `[n_steps, COLUMNS]`.
    ends: Vec<f64>,
}

impl Walks {
    /// # Shapes
    /// `along` is `[n_axes, n_columns]`.
    pub fn of(band: &Band, penalties: &[f64], along: &Array2<f64>) -> Walks {
        let of_penalty = |&penalty: &f64| {
            let factors = Factors::of(band, penalty);
            along.axis_chunks_iter(Axis(1), COLUMNS).map(|some| Way::of(&factors, some)).collect::<Vec<_>>()
        };
        let walks = penalties.iter().flat_map(of_penalty).collect();
        Walks { n_axes: band.len(), n_penalties: penalties.len(), n_columns: along.ncols(), walks }
    }

    /// Of each row `t`, the leverage `t (M + λ)⁻¹ tᵀ` and the readings `t (M + λ)⁻¹ a`, those of the first penalty first.
    ///
    /// # Shapes
    /// `[n, n_axes]` to `[n, n_penalties]` and `[n, n_penalties * n_columns]`.
    pub fn along(&self, rows: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
        let n = rows.nrows();
        let mut leverages = Array2::zeros((n, self.n_penalties));
        let mut readings = Array2::zeros((n, self.n_penalties * self.n_columns));
        let arch = Arch::new();
        let a_penalty = self.n_columns.div_ceil(COLUMNS);
        let mut lanes = vec![0.0; self.n_axes.next_multiple_of(WIDEST) * LANES]; // [n_steps, LANES]
        for start in (0..n).step_by(LANES) {
            let some = start..n.min(start + LANES);
            for (lanes, values) in
                lanes.chunks_exact_mut(LANES).zip(rows.slice(s![some.clone(), ..]).columns())
            {
                lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = *value);
            }
            for (at, way) in self.walks.iter().enumerate() {
                let found = way.walk(arch, &lanes);
                let (l, first) = (at / a_penalty, (at % a_penalty) * COLUMNS);
                for (lane, i) in some.clone().enumerate() {
                    leverages[[i, l]] = found[0][lane];
                    let to = l * self.n_columns + first;
                    (0..way.n_columns).for_each(|c| readings[[i, to + c]] = found[1 + c][lane]);
                }
            }
        }
        (leverages, readings)
    }
}

/// The sums of a walk: leverages, then readings by each column.
type Sums = [[f64; LANES]; 1 + COLUMNS];

impl Way {
    fn of(factors: &Factors, columns: ArrayView2<f64>) -> Way {
        let (n, width) = factors.before.dim();
        let n_steps = n.next_multiple_of(width);
        let mut columns = columns.to_owned();
        columns.columns_mut().into_iter().for_each(|mut column| factors.solve_lower(&mut column));
        let n_columns = columns.ncols();
        let held = if n_columns <= 2 { 2 } else { COLUMNS };
        let mut ends = vec![0.0; n_steps * held];
        for ((j, c), value) in columns.indexed_iter() {
            ends[j * held + c] = value * factors.over_pivots[j];
        }
        let mut carried: Vec<f64> = factors.before.iter().map(|before| -before).collect();
        carried.resize(n_steps * width, 0.0);
        let mut over_pivots = factors.over_pivots.clone();
        over_pivots.resize(n_steps, 0.0);
        Way { width, carried, over_pivots, n_columns, ends }
    }

    /// The walk of some rows, with what is known beforehand written into the program.
    fn walk(&self, arch: Arch, lanes: &[f64]) -> Sums {
        let (way, two) = (self, self.n_columns <= 2);
        match self.width {
            1 if two => arch.dispatch(Walk::<1, 2> { way, lanes }),
            1 => arch.dispatch(Walk::<1, COLUMNS> { way, lanes }),
            8 if two => arch.dispatch(Walk::<8, 2> { way, lanes }),
            8 => arch.dispatch(Walk::<8, COLUMNS> { way, lanes }),
            _ if two => arch.dispatch(Walk::<WIDEST, 2> { way, lanes }),
            _ => arch.dispatch(Walk::<WIDEST, COLUMNS> { way, lanes }),
        }
    }
}

/// `Σ_j w_j² / D_j` and `Σ_j w_j e_j` of some rows, where `w = L⁻¹ t` and `e` are a column's ends.
struct Walk<'a, const WIDTH: usize, const N: usize> {
    way: &'a Way,
    /// `[n_steps, LANES]`.
    lanes: &'a [f64],
}

impl<const WIDTH: usize, const N: usize> WithSimd for Walk<'_, WIDTH, N> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let mut sums = [[0.0; LANES]; 1 + COLUMNS];
        // A register holds some of the lanes, or all.
        for first in (0..LANES).step_by(S::F64_LANES) {
            let found = self.some_lanes(simd, first);
            for (sums, found) in sums.iter_mut().zip(&found) {
                S::as_mut_simd_f64s(&mut sums[first..]).0[0] = *found;
            }
        }
        sums
    }
}

impl<const WIDTH: usize, const N: usize> Walk<'_, WIDTH, N> {
    #[inline(always)]
    fn some_lanes<S: Simd>(&self, simd: S, first: usize) -> [S::f64s; 1 + COLUMNS] {
        let zero = simd.splat_f64s(0.0);
        let mut state = State { simd, walked: [zero; WIDTH], leverages: zero, readings: [zero; N] };
        let carried = self.way.carried.as_chunks::<WIDTH>().0.as_chunks::<WIDTH>().0;
        let ends = self.way.ends.as_chunks::<N>().0.as_chunks::<WIDTH>().0;
        let over = self.way.over_pivots.as_chunks::<WIDTH>().0;
        let lanes = self.lanes.as_chunks::<LANES>().0.as_chunks::<WIDTH>().0;
        for ((lanes, carried), (ends, over)) in lanes.iter().zip(carried).zip(ends.iter().zip(over)) {
            // Written out, so that each value has a register of its own.
            macro_rules! steps {
                ($($k:literal)*) => {$(
                    if $k < WIDTH {
                        let value = S::as_simd_f64s(&lanes[$k][first..]).0[0];
                        state.step($k, value, (&carried[$k], over[$k], &ends[$k]));
                    }
                )*};
            }
            steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        let mut sums = [zero; 1 + COLUMNS];
        sums[0] = state.leverages;
        sums[1..=N].copy_from_slice(&state.readings);
        sums
    }
}

/// Where a walk is.
struct State<S: Simd, const WIDTH: usize, const N: usize> {
    simd: S,
    /// The last values of `w`, each where the one `WIDTH` steps before it was.
    walked: [S::f64s; WIDTH],
    leverages: S::f64s,
    readings: [S::f64s; N],
}

impl<S: Simd, const WIDTH: usize, const N: usize> State<S, WIDTH, N> {
    #[inline(always)]
    fn step(&mut self, k: usize, mut value: S::f64s, (carried, over, ends): (&[f64; WIDTH], f64, &[f64; N])) {
        let simd = self.simd;
        for back in (1..=WIDTH).rev() {
            let from = self.walked[(k + WIDTH - back) % WIDTH];
            value = simd.mul_add_f64s(simd.splat_f64s(carried[back - 1]), from, value);
        }
        let scaled = simd.mul_f64s(simd.splat_f64s(over), value);
        self.leverages = simd.mul_add_f64s(scaled, value, self.leverages);
        for (sum, end) in self.readings.iter_mut().zip(ends) {
            *sum = simd.mul_add_f64s(simd.splat_f64s(*end), value, *sum);
        }
        self.walked[k] = value;
    }
}
