//! Unpacks rows of quantised blocks to f32 values, or directly to their dot products with a few rows of a stream, in
//! the machine's widest registers.

use super::large::{iq4_xs, q2_k, q3_k, q4_k, q5_k, q6_k};
use super::sink::{Dots, Sink, ToMemory};
use super::sixteen::{Plain, Sixteen};
use super::small::{iq4_nl, mxfp4, q4_0, q4_1, q5_0, q5_1, q8_0};
use super::types::QuantType;
use crate::model::kernels::prefetch::{AHEAD, prefetch};
use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

/// One type of blocks: its sizes and its unpacking.
trait Block {
    const BYTES: usize;
    /// Weights per block, divided by sixteen.
    const SIXTEENS: usize;

    fn put<L: Sixteen>(lanes: L, bytes: &[u8], sink: &mut impl Sink<L>);
}

/// An operation on blocks of a type `B`, in registers of a type `L`.
trait Work {
    fn run<B: Block, L: Sixteen>(self, lanes: L);
}

/// An operation and its registers: the function that pulp compiles for their instruction set.
struct WithLanes<W, L, B>(W, L, std::marker::PhantomData<B>);

impl<W: Work, L: Sixteen, B: Block> NullaryFnOnce for WithLanes<W, L, B> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run::<B, L>(self.1);
    }
}

/// Runs an operation in the widest registers of the machine.
fn on_widest<B: Block>(work: impl Work) {
    let of = std::marker::PhantomData::<B>;
    #[cfg(target_arch = "x86_64")]
    if let Some(lanes) = V4::try_new() {
        return lanes.vectorize(WithLanes(work, lanes, of));
    } else if let Some(lanes) = V3::try_new() {
        return lanes.vectorize(WithLanes(work, lanes, of));
    }
    WithLanes(work, Plain, of).call();
}

/// Implements [`Block`] for each type, and the functions that select the implementation of a [`QuantType`].
macro_rules! blocks {
    ($($ty:ident: $put:ident, $bytes:literal, $sixteens:literal;)*) => {
        $(
            #[allow(non_camel_case_types, reason = "llama.cpp's own names")]
            struct $ty;

            impl Block for $ty {
                const BYTES: usize = $bytes;
                const SIXTEENS: usize = $sixteens;

                #[inline(always)]
                fn put<L: Sixteen>(lanes: L, bytes: &[u8], sink: &mut impl Sink<L>) {
                    if let Some(bytes) = bytes.first_chunk() {
                        $put(lanes, bytes, sink);
                    }
                }
            }
        )*

        fn run(ty: QuantType, work: impl Work) {
            match ty {
                $(QuantType::$ty => on_widest::<$ty>(work),)*
            }
        }

        #[cfg(test)]
        fn run_with<L: Sixteen>(ty: QuantType, work: impl Work, lanes: L) {
            match ty {
                $(QuantType::$ty => work.run::<$ty, L>(lanes),)*
            }
        }

        #[cfg(test)]
        const SIZES: &[(QuantType, usize, usize)] = &[$((QuantType::$ty, $bytes, $sixteens),)*];
    };
}

blocks! {
    Q4_0: q4_0, 18, 2;
    Q4_1: q4_1, 20, 2;
    Q5_0: q5_0, 22, 2;
    Q5_1: q5_1, 24, 2;
    Q8_0: q8_0, 34, 2;
    Q2_K: q2_k, 84, 16;
    Q3_K: q3_k, 110, 16;
    Q4_K: q4_k, 144, 16;
    Q5_K: q5_k, 176, 16;
    Q6_K: q6_k, 210, 16;
    IQ4_NL: iq4_nl, 18, 2;
    IQ4_XS: iq4_xs, 136, 16;
    MXFP4: mxfp4, 17, 2;
}

/// Unpacks blocks into `out`.
pub(super) fn unpack(ty: QuantType, bytes: &[u8], out: &mut [f32]) {
    run(ty, Unpack { bytes, out });
}

struct Unpack<'a> {
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl Work for Unpack<'_> {
    #[inline(always)]
    fn run<B: Block, L: Sixteen>(self, lanes: L) {
        let out = self.out.as_chunks_mut::<16>().0;
        for (bytes, out) in self.bytes.chunks_exact(B::BYTES).zip(out.chunks_exact_mut(B::SIXTEENS)) {
            B::put(lanes, bytes, &mut ToMemory(out));
        }
    }
}

/// Maximum number of rows of the stream in one call of [`products`].
pub(crate) const MAX_ROWS: usize = 4;

/// Rows of blocks, and the following rows, which are prefetched.
#[derive(Clone, Copy)]
pub(super) struct BlockRows<'a> {
    /// The rows, then the following rows of the matrix.
    pub(super) bytes: &'a [u8],
    /// Number of bytes of the rows alone.
    pub(super) len: usize,
}

/// Rows of a stream, `[n, width]`.
#[derive(Clone, Copy)]
pub(super) struct StreamRows<'a> {
    pub(super) x: &'a [f32],
    pub(super) width: usize,
}

/// The dot product of each row of blocks with each row of a stream, at most [`MAX_ROWS`] of them.
///
/// # Shapes
/// `out` `[rows, n]`.
pub(super) fn products(ty: QuantType, rows: BlockRows, stream: StreamRows, out: &mut [f32]) {
    let StreamRows { x, width } = stream;
    let x = x.as_chunks::<16>().0;
    let x: Vec<&[[f32; 16]]> = x.chunks_exact(width / 16).collect();
    match &x[..] {
        &[x] => run(ty, Products { rows, x: [x], n: 1, out }),
        several => {
            let x = std::array::from_fn(|row| several[row.min(several.len() - 1)]);
            run(ty, Products::<MAX_ROWS> { rows, x, n: several.len(), out });
        }
    }
}

/// Dot products with `n` rows of a stream; the other `N − n` rows of `x` are placeholders.
struct Products<'a, const N: usize> {
    rows: BlockRows<'a>,
    x: [&'a [[f32; 16]]; N],
    n: usize,
    out: &'a mut [f32],
}

impl<const N: usize> Work for Products<'_, N> {
    #[inline(always)]
    fn run<B: Block, L: Sixteen>(self, lanes: L) {
        let row_bytes = self.x[0].len() / B::SIXTEENS * B::BYTES;
        let BlockRows { bytes, len } = self.rows;
        let rows = bytes[..len].chunks_exact(row_bytes).enumerate();
        for ((at, row), out) in rows.zip(self.out.chunks_exact_mut(self.n)) {
            let ahead = at * row_bytes + AHEAD;
            prefetch(bytes.get(ahead..ahead + row_bytes).unwrap_or(&[]));
            let mut dots = Dots { x: self.x, sums: [[lanes.zero(); 2]; N] };
            // Pieces of known length, so that their indices need no bounds checks.
            let mut pieces = self.x.map(|x| x.chunks_exact(B::SIXTEENS));
            for bytes in row.chunks_exact(B::BYTES) {
                dots.x = pieces.each_mut().map(|pieces| pieces.next().unwrap_or(&[]));
                B::put(lanes, bytes, &mut dots);
            }
            out.copy_from_slice(&dots.totals(lanes)[..self.n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_sizes_of_their_types() {
        for (ty, bytes, sixteens) in SIZES {
            assert_eq!((ty.block_bytes(), ty.block_weights()), (*bytes, 16 * sixteens), "{ty}");
        }
    }

    /// The unpacked values of all rows, and their products with three rows of a stream.
    fn all<L: Sixteen>(ty: QuantType, bytes: &[u8], x: &[f32], lanes: L) -> [Vec<u32>; 2] {
        let width = x.len() / 3;
        let n_weights = bytes.len() / ty.block_bytes() * ty.block_weights();
        let (mut numbers, mut sums) = (vec![0f32; n_weights], vec![0f32; n_weights / width * 3]);
        run_with(ty, Unpack { bytes, out: &mut numbers }, lanes);
        let rows: Vec<&[[f32; 16]]> = x.as_chunks::<16>().0.chunks_exact(width / 16).collect();
        let x = [rows[0], rows[1], rows[2], rows[2]];
        run_with(
            ty,
            Products { rows: BlockRows { bytes, len: bytes.len() }, x, n: 3, out: &mut sums },
            lanes,
        );
        [numbers, sums].map(|values| values.iter().map(|value| value.to_bits()).collect())
    }

    #[test]
    fn all_instruction_sets_unpack_the_same_values_and_nearly_the_same_products() {
        let width = 512;
        let x: Vec<f32> = (0..3 * width).map(|i| ((i * i % 97) as f32 - 48.0) / 31.0).collect();
        for (ty, n_bytes, sixteens) in SIZES {
            let n_blocks = 2 * width / (16 * sixteens);
            // Bytes below 64: positive finite scales.
            let bytes: Vec<u8> = (0..n_blocks * n_bytes).map(|i| (i * 89 % 59) as u8).collect();
            let [numbers, sums] = all(*ty, &bytes, &x, Plain);
            let real = |bits: &[u32]| bits.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<f32>>();
            assert!(real(&numbers).iter().all(|x| x.is_finite()), "{ty}");
            for (row, sums) in real(&numbers).chunks_exact(width).zip(real(&sums).chunks_exact(3)) {
                for (x, sum) in x.chunks_exact(width).zip(sums) {
                    let size: f64 = row.iter().zip(x).map(|(w, x)| f64::from((w * x).abs())).sum();
                    let exact: f64 = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    assert!((f64::from(*sum) - exact).abs() <= 1e-6 * size, "{ty}: {sum} is not {exact}");
                }
            }
            #[cfg(target_arch = "x86_64")]
            {
                let wide = V4::try_new().map(|lanes| all(*ty, &bytes, &x, lanes));
                let narrow = V3::try_new().map(|lanes| all(*ty, &bytes, &x, lanes));
                for [found, products] in wide.into_iter().chain(narrow) {
                    assert_eq!(found, numbers, "{ty}");
                    for (ours, plain) in real(&products).iter().zip(&real(&sums)) {
                        assert!(
                            (ours - plain).abs() <= 1e-4 * plain.abs().max(1e-3),
                            "{ty}: {ours} is not {plain}"
                        );
                    }
                }
            }
        }
    }
}
