//! Leverages and fitted values of many rows, by one forward substitution along a band for each penalty.
//!
//! With `M + λ = L D Lᵀ`, let `w = L⁻¹ t` for a row `t`. Its leverage is `t (M + λ)⁻¹ tᵀ = Σ_j w_j² / D_j`, and its
//! fitted value for a right-hand side `a` is `t (M + λ)⁻¹ a = Σ_j w_j e_j` with `e = D⁻¹ L⁻¹ a`, which is computed
//! once for all rows. So one pass of `w_j = t_j − Σ_k L_jk w_k` over the band gives both sums. Eight rows are computed
//! at once, one per SIMD lane.

use super::band::{Band, Factors};
use ndarray::{Array2, ArrayView2, Axis, s};
use pulp::{Arch, Simd, WithSimd};

/// Number of rows computed together: as many as the widest vector register holds f64 values.
const LANES: usize = 8;
/// Maximum number of right-hand sides in one substitution.
const COLUMNS: usize = 4;
/// Width of the widest supported band; its last `width` values of a substitution still fit into the vector registers.
const WIDEST: usize = 16;

/// The factored systems of several penalties; each system holds up to [`COLUMNS`] of the right-hand sides.
pub(super) struct BandSolver {
    n_axes: usize,
    n_penalties: usize,
    n_columns: usize,
    /// The systems, ordered by penalty, then by right-hand side.
    systems: Vec<Factored>,
}

/// `M + λ = L D Lᵀ` and up to [`COLUMNS`] right-hand sides `a`, padded to a multiple of the width with steps that
/// have no effect.
struct Factored {
    width: usize,
    /// The rows of `−L`, nearest to the diagonal first, `[n_steps, width]`.
    lower: Vec<f64>,
    /// The inverse of each entry of `D`, `[n_steps]`.
    inverse_pivots: Vec<f64>,
    /// The number of right-hand sides without padding.
    n_columns: usize,
    /// `D⁻¹ L⁻¹ a`, padded with columns of 0, `[n_steps, 2]` or `[n_steps, COLUMNS]`.
    rhs: Vec<f64>,
}

impl BandSolver {
    /// Factors the band at each penalty and prepares the right-hand sides.
    ///
    /// # Shapes
    /// `rhs` is `[n_axes, n_columns]`.
    pub(super) fn of(band: &Band, penalties: &[f64], rhs: &Array2<f64>) -> BandSolver {
        let of_penalty = |&penalty: &f64| {
            let factors = Factors::of(band, penalty);
            rhs.axis_chunks_iter(Axis(1), COLUMNS)
                .map(|some| Factored::of(&factors, some))
                .collect::<Vec<_>>()
        };
        let systems = penalties.iter().flat_map(of_penalty).collect();
        BandSolver { n_axes: band.len(), n_penalties: penalties.len(), n_columns: rhs.ncols(), systems }
    }

    /// The leverage `t (M + λ)⁻¹ tᵀ` and the fitted values `t (M + λ)⁻¹ a` of each row `t`, in order of the penalties.
    ///
    /// # Shapes
    /// `[n, n_axes]` to `[n, n_penalties]` and `[n, n_penalties * n_columns]`.
    pub(super) fn fit(&self, rows: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
        let n = rows.nrows();
        let mut leverages = Array2::zeros((n, self.n_penalties));
        let mut fitted = Array2::zeros((n, self.n_penalties * self.n_columns));
        let arch = Arch::new();
        let n_chunks = self.n_columns.div_ceil(COLUMNS);
        let mut lanes = vec![0.0; self.n_axes.next_multiple_of(WIDEST) * LANES]; // [n_steps, LANES]
        for start in (0..n).step_by(LANES) {
            let some = start..n.min(start + LANES);
            for (lanes, values) in
                lanes.chunks_exact_mut(LANES).zip(rows.slice(s![some.clone(), ..]).columns())
            {
                lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = *value);
            }
            for (at, system) in self.systems.iter().enumerate() {
                let found = system.substitute(arch, &lanes);
                let (l, first) = (at / n_chunks, (at % n_chunks) * COLUMNS);
                for (lane, i) in some.clone().enumerate() {
                    leverages[[i, l]] = found[0][lane];
                    let to = l * self.n_columns + first;
                    (0..system.n_columns).for_each(|c| fitted[[i, to + c]] = found[1 + c][lane]);
                }
            }
        }
        (leverages, fitted)
    }
}

/// The sums of one substitution: leverages, then the fitted values of each right-hand side.
type Sums = [[f64; LANES]; 1 + COLUMNS];

impl Factored {
    fn of(factors: &Factors, columns: ArrayView2<f64>) -> Factored {
        let (n, width) = factors.lower.dim();
        let n_steps = n.next_multiple_of(width);
        let mut columns = columns.to_owned();
        columns.columns_mut().into_iter().for_each(|mut column| factors.solve_lower(&mut column));
        let n_columns = columns.ncols();
        let n_padded = if n_columns <= 2 { 2 } else { COLUMNS };
        let mut rhs = vec![0.0; n_steps * n_padded];
        for ((j, c), value) in columns.indexed_iter() {
            rhs[j * n_padded + c] = value * factors.inverse_pivots[j];
        }
        let mut lower: Vec<f64> = factors.lower.iter().map(|entry| -entry).collect();
        lower.resize(n_steps * width, 0.0);
        let mut inverse_pivots = factors.inverse_pivots.clone();
        inverse_pivots.resize(n_steps, 0.0);
        Factored { width, lower, inverse_pivots, n_columns, rhs }
    }

    /// Substitutes one block of rows, with width and number of columns as compile-time constants of the loop.
    fn substitute(&self, arch: Arch, lanes: &[f64]) -> Sums {
        let (system, two) = (self, self.n_columns <= 2);
        match self.width {
            1 if two => arch.dispatch(Substitution::<1, 2> { system, lanes }),
            1 => arch.dispatch(Substitution::<1, COLUMNS> { system, lanes }),
            8 if two => arch.dispatch(Substitution::<8, 2> { system, lanes }),
            8 => arch.dispatch(Substitution::<8, COLUMNS> { system, lanes }),
            _ if two => arch.dispatch(Substitution::<WIDEST, 2> { system, lanes }),
            _ => arch.dispatch(Substitution::<WIDEST, COLUMNS> { system, lanes }),
        }
    }
}

/// Computes `Σ_j w_j² / D_j` and `Σ_j w_j e_j` of one block of rows, where `w = L⁻¹ t` and `e` is a prepared
/// right-hand side.
struct Substitution<'a, const WIDTH: usize, const N: usize> {
    system: &'a Factored,
    /// `[n_steps, LANES]`.
    lanes: &'a [f64],
}

impl<const WIDTH: usize, const N: usize> WithSimd for Substitution<'_, WIDTH, N> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let mut sums = [[0.0; LANES]; 1 + COLUMNS];
        // One register holds all lanes, or a part of them on narrower processors.
        for first in (0..LANES).step_by(S::F64_LANES) {
            let found = self.some_lanes(simd, first);
            for (sums, found) in sums.iter_mut().zip(&found) {
                S::as_mut_simd_f64s(&mut sums[first..]).0[0] = *found;
            }
        }
        sums
    }
}

impl<const WIDTH: usize, const N: usize> Substitution<'_, WIDTH, N> {
    #[inline(always)]
    fn some_lanes<S: Simd>(&self, simd: S, first: usize) -> [S::f64s; 1 + COLUMNS] {
        let zero = simd.splat_f64s(0.0);
        let mut state = State { simd, solved: [zero; WIDTH], leverages: zero, fitted: [zero; N] };
        let lower = self.system.lower.as_chunks::<WIDTH>().0.as_chunks::<WIDTH>().0;
        let rhs = self.system.rhs.as_chunks::<N>().0.as_chunks::<WIDTH>().0;
        let over = self.system.inverse_pivots.as_chunks::<WIDTH>().0;
        let lanes = self.lanes.as_chunks::<LANES>().0.as_chunks::<WIDTH>().0;
        for ((lanes, lower), (rhs, over)) in lanes.iter().zip(lower).zip(rhs.iter().zip(over)) {
            // Unrolled, so that each value stays in its own register.
            macro_rules! steps {
                ($($k:literal)*) => {$(
                    if $k < WIDTH {
                        let value = S::as_simd_f64s(&lanes[$k][first..]).0[0];
                        state.step($k, value, Row { lower: &lower[$k], inverse_pivot: over[$k], rhs: &rhs[$k] });
                    }
                )*};
            }
            steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        let mut sums = [zero; 1 + COLUMNS];
        sums[0] = state.leverages;
        sums[1..=N].copy_from_slice(&state.fitted);
        sums
    }
}

/// The running state of a substitution.
struct State<S: Simd, const WIDTH: usize, const N: usize> {
    simd: S,
    /// The last `WIDTH` values of `w`, as a ring buffer.
    solved: [S::f64s; WIDTH],
    leverages: S::f64s,
    fitted: [S::f64s; N],
}

/// One row of a factored system.
struct Row<'a, const WIDTH: usize, const N: usize> {
    lower: &'a [f64; WIDTH],
    inverse_pivot: f64,
    rhs: &'a [f64; N],
}

impl<S: Simd, const WIDTH: usize, const N: usize> State<S, WIDTH, N> {
    #[inline(always)]
    fn step(&mut self, k: usize, mut value: S::f64s, row: Row<WIDTH, N>) {
        let simd = self.simd;
        for back in (1..=WIDTH).rev() {
            let from = self.solved[(k + WIDTH - back) % WIDTH];
            value = simd.mul_add_f64s(simd.splat_f64s(row.lower[back - 1]), from, value);
        }
        let scaled = simd.mul_f64s(simd.splat_f64s(row.inverse_pivot), value);
        self.leverages = simd.mul_add_f64s(scaled, value, self.leverages);
        for (sum, rhs) in self.fitted.iter_mut().zip(row.rhs) {
            *sum = simd.mul_add_f64s(simd.splat_f64s(*rhs), value, *sum);
        }
        self.solved[k] = value;
    }
}
