//! SIMD operations on sixteen weights at a time.
//!
//! The compiler alone unpacks blocks byte by byte at a twentieth of this speed; this file uses the instructions
//! explicitly, through pulp's safe functions.

#[cfg(target_arch = "x86_64")]
use pulp::cast;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m128i, __m256, __m256i, __m512, __m512i};

/// Operations on sixteen integers and sixteen f32 values.
pub(super) trait Sixteen: Copy {
    type Whole: Copy;
    type Real: Copy;

    fn bytes(self, from: &[u8; 16]) -> Self::Whole;
    fn signed_bytes(self, from: &[u8; 16]) -> Self::Whole;
    /// Sets `bits` in number `i` if bit `i` of `places`, counted from the lowest, is set.
    fn or_where(self, a: Self::Whole, places: u16, bits: u32) -> Self::Whole;
    fn and(self, a: Self::Whole, mask: u32) -> Self::Whole;
    fn or(self, a: Self::Whole, b: Self::Whole) -> Self::Whole;
    fn right(self, a: Self::Whole, by: u32) -> Self::Whole;
    fn left(self, a: Self::Whole, by: u32) -> Self::Whole;
    /// Table entries by indices below 16.
    fn pick(self, table: &[f32; 16], at: Self::Whole) -> Self::Real;
    fn real(self, a: Self::Whole) -> Self::Real;
    fn times(self, a: Self::Real, by: f32) -> Self::Real;
    fn plus(self, a: Self::Real, b: f32) -> Self::Real;
    fn zero(self) -> Self::Real;
    /// `sum + a · b`.
    fn add_product(self, sum: Self::Real, a: Self::Real, b: &[f32; 16]) -> Self::Real;
    fn values(self, a: Self::Real) -> [f32; 16];
}

/// The operations without SIMD, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Sixteen for Plain {
    type Whole = [u32; 16];
    type Real = [f32; 16];

    #[inline(always)]
    fn bytes(self, from: &[u8; 16]) -> [u32; 16] {
        from.map(u32::from)
    }

    #[inline(always)]
    fn signed_bytes(self, from: &[u8; 16]) -> [u32; 16] {
        from.map(|byte| i32::from(byte as i8) as u32)
    }

    #[inline(always)]
    fn or_where(self, a: [u32; 16], places: u16, bits: u32) -> [u32; 16] {
        std::array::from_fn(|i| a[i] | ((u32::from(places) >> i & 1) * bits))
    }

    #[inline(always)]
    fn and(self, a: [u32; 16], mask: u32) -> [u32; 16] {
        a.map(|a| a & mask)
    }

    #[inline(always)]
    fn or(self, a: [u32; 16], b: [u32; 16]) -> [u32; 16] {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn right(self, a: [u32; 16], by: u32) -> [u32; 16] {
        a.map(|a| a >> by)
    }

    #[inline(always)]
    fn left(self, a: [u32; 16], by: u32) -> [u32; 16] {
        a.map(|a| a << by)
    }

    #[inline(always)]
    fn pick(self, table: &[f32; 16], at: [u32; 16]) -> [f32; 16] {
        at.map(|at| table[at as usize & 15])
    }

    #[inline(always)]
    fn real(self, a: [u32; 16]) -> [f32; 16] {
        a.map(|a| a as i32 as f32)
    }

    #[inline(always)]
    fn times(self, a: [f32; 16], by: f32) -> [f32; 16] {
        a.map(|a| a * by)
    }

    #[inline(always)]
    fn plus(self, a: [f32; 16], b: f32) -> [f32; 16] {
        a.map(|a| a + b)
    }

    #[inline(always)]
    fn zero(self) -> [f32; 16] {
        [0.0; 16]
    }

    #[inline(always)]
    fn add_product(self, sum: [f32; 16], a: [f32; 16], b: &[f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| sum[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn values(self, a: [f32; 16]) -> [f32; 16] {
        a
    }
}

#[cfg(target_arch = "x86_64")]
impl Sixteen for V4 {
    type Whole = __m512i;
    type Real = __m512;

    #[inline(always)]
    fn bytes(self, from: &[u8; 16]) -> __m512i {
        self.avx512f._mm512_cvtepu8_epi32(cast(*from))
    }

    #[inline(always)]
    fn signed_bytes(self, from: &[u8; 16]) -> __m512i {
        self.avx512f._mm512_cvtepi8_epi32(cast(*from))
    }

    #[inline(always)]
    fn or_where(self, a: __m512i, places: u16, bits: u32) -> __m512i {
        self.avx512f._mm512_mask_or_epi32(a, places, a, self.avx512f._mm512_set1_epi32(bits as i32))
    }

    #[inline(always)]
    fn and(self, a: __m512i, mask: u32) -> __m512i {
        self.avx512f._mm512_and_si512(a, self.avx512f._mm512_set1_epi32(mask as i32))
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_or_si512(a, b)
    }

    #[inline(always)]
    fn right(self, a: __m512i, by: u32) -> __m512i {
        self.avx512f._mm512_srl_epi32(a, self.sse2._mm_cvtsi32_si128(by as i32))
    }

    #[inline(always)]
    fn left(self, a: __m512i, by: u32) -> __m512i {
        self.avx512f._mm512_sll_epi32(a, self.sse2._mm_cvtsi32_si128(by as i32))
    }

    #[inline(always)]
    fn pick(self, table: &[f32; 16], at: __m512i) -> __m512 {
        self.avx512f._mm512_permutexvar_ps(at, cast(*table))
    }

    #[inline(always)]
    fn real(self, a: __m512i) -> __m512 {
        self.avx512f._mm512_cvtepi32_ps(a)
    }

    #[inline(always)]
    fn times(self, a: __m512, by: f32) -> __m512 {
        self.avx512f._mm512_mul_ps(a, self.avx512f._mm512_set1_ps(by))
    }

    #[inline(always)]
    fn plus(self, a: __m512, b: f32) -> __m512 {
        self.avx512f._mm512_add_ps(a, self.avx512f._mm512_set1_ps(b))
    }

    #[inline(always)]
    fn zero(self) -> __m512 {
        self.avx512f._mm512_setzero_ps()
    }

    #[inline(always)]
    fn add_product(self, sum: __m512, a: __m512, b: &[f32; 16]) -> __m512 {
        self.avx512f._mm512_fmadd_ps(a, cast(*b), sum)
    }

    #[inline(always)]
    fn values(self, a: __m512) -> [f32; 16] {
        cast(a)
    }
}

/// The two halves of sixteen bytes, each in the lower part of a register.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves(from: &[u8; 16]) -> [__m128i; 2] {
    let all = u128::from_le_bytes(*from);
    [cast(all), cast(all >> 64)]
}

#[cfg(target_arch = "x86_64")]
impl Sixteen for V3 {
    type Whole = [__m256i; 2];
    type Real = [__m256; 2];

    #[inline(always)]
    fn bytes(self, from: &[u8; 16]) -> [__m256i; 2] {
        let [a, b] = halves(from);
        [self.avx2._mm256_cvtepu8_epi32(a), self.avx2._mm256_cvtepu8_epi32(b)]
    }

    #[inline(always)]
    fn signed_bytes(self, from: &[u8; 16]) -> [__m256i; 2] {
        let [a, b] = halves(from);
        [self.avx2._mm256_cvtepi8_epi32(a), self.avx2._mm256_cvtepi8_epi32(b)]
    }

    #[inline(always)]
    fn or_where(self, a: [__m256i; 2], places: u16, bits: u32) -> [__m256i; 2] {
        let each: __m256i = cast([1u32, 2, 4, 8, 16, 32, 64, 128]);
        let bits = self.avx._mm256_set1_epi32(bits as i32);
        let eight = |of: u16| {
            let found = self.avx2._mm256_and_si256(self.avx._mm256_set1_epi32(i32::from(of)), each);
            self.avx2._mm256_and_si256(self.avx2._mm256_cmpeq_epi32(found, each), bits)
        };
        self.or(a, [eight(places), eight(places >> 8)])
    }

    #[inline(always)]
    fn and(self, [a, b]: [__m256i; 2], mask: u32) -> [__m256i; 2] {
        let mask = self.avx._mm256_set1_epi32(mask as i32);
        [self.avx2._mm256_and_si256(a, mask), self.avx2._mm256_and_si256(b, mask)]
    }

    #[inline(always)]
    fn or(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [self.avx2._mm256_or_si256(a[0], b[0]), self.avx2._mm256_or_si256(a[1], b[1])]
    }

    #[inline(always)]
    fn right(self, [a, b]: [__m256i; 2], by: u32) -> [__m256i; 2] {
        let by = self.sse2._mm_cvtsi32_si128(by as i32);
        [self.avx2._mm256_srl_epi32(a, by), self.avx2._mm256_srl_epi32(b, by)]
    }

    #[inline(always)]
    fn left(self, [a, b]: [__m256i; 2], by: u32) -> [__m256i; 2] {
        let by = self.sse2._mm_cvtsi32_si128(by as i32);
        [self.avx2._mm256_sll_epi32(a, by), self.avx2._mm256_sll_epi32(b, by)]
    }

    #[inline(always)]
    fn pick(self, table: &[f32; 16], at: [__m256i; 2]) -> [__m256; 2] {
        let [low, high]: [__m256; 2] = cast(*table);
        // The fourth bit of an index is moved to the sign bit, by which the blend chooses between the two halves.
        let choice: [__m256; 2] = cast(self.left(at, 28));
        let eight = |at, choice| {
            let (low, high) =
                (self.avx2._mm256_permutevar8x32_ps(low, at), self.avx2._mm256_permutevar8x32_ps(high, at));
            self.avx._mm256_blendv_ps(low, high, choice)
        };
        [eight(at[0], choice[0]), eight(at[1], choice[1])]
    }

    #[inline(always)]
    fn real(self, [a, b]: [__m256i; 2]) -> [__m256; 2] {
        [self.avx._mm256_cvtepi32_ps(a), self.avx._mm256_cvtepi32_ps(b)]
    }

    #[inline(always)]
    fn times(self, [a, b]: [__m256; 2], by: f32) -> [__m256; 2] {
        let by = self.avx._mm256_set1_ps(by);
        [self.avx._mm256_mul_ps(a, by), self.avx._mm256_mul_ps(b, by)]
    }

    #[inline(always)]
    fn plus(self, [a, b]: [__m256; 2], c: f32) -> [__m256; 2] {
        let c = self.avx._mm256_set1_ps(c);
        [self.avx._mm256_add_ps(a, c), self.avx._mm256_add_ps(b, c)]
    }

    #[inline(always)]
    fn zero(self) -> [__m256; 2] {
        [self.avx._mm256_setzero_ps(); 2]
    }

    #[inline(always)]
    fn add_product(self, sum: [__m256; 2], a: [__m256; 2], b: &[f32; 16]) -> [__m256; 2] {
        let b: [__m256; 2] = cast(*b);
        [self.fma._mm256_fmadd_ps(a[0], b[0], sum[0]), self.fma._mm256_fmadd_ps(a[1], b[1], sum[1])]
    }

    #[inline(always)]
    fn values(self, a: [__m256; 2]) -> [f32; 16] {
        cast(a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of all operations on the same inputs.
    fn all<L: Sixteen>(lanes: L) -> Vec<[f32; 16]> {
        let bytes: [u8; 16] = std::array::from_fn(|i| (i * 37 + 200) as u8);
        let table: [f32; 16] = std::array::from_fn(|i| i as f32 * 1.5 - 7.0);
        let real = |a| lanes.values(lanes.real(a));
        let a = lanes.bytes(&bytes);
        let x = lanes.real(a);
        vec![
            real(a),
            real(lanes.signed_bytes(&bytes)),
            real(lanes.or_where(lanes.and(a, 0), 0b1010_0110_0001_1111, 16)),
            real(lanes.and(a, 0x35)),
            real(lanes.or(a, lanes.left(a, 3))),
            real(lanes.right(a, 3)),
            real(lanes.left(a, 4)),
            lanes.values(lanes.pick(&table, lanes.and(a, 15))),
            lanes.values(lanes.times(x, 0.3)),
            lanes.values(lanes.plus(x, 0.3)),
            lanes.values(lanes.zero()),
            lanes.values(lanes.add_product(x, lanes.real(lanes.and(a, 7)), &table)),
        ]
    }

    #[test]
    fn every_operation_gives_the_same_with_every_instruction_set() {
        let plain = all(Plain);
        assert_eq!(plain[2][..8], [16.0, 16.0, 16.0, 16.0, 16.0, 0.0, 0.0, 0.0]);
        assert_eq!((plain[1][0], plain[6][0], plain[7][1]), (-56.0, 3200.0, 13.0 * 1.5 - 7.0));
        #[cfg(target_arch = "x86_64")]
        {
            let narrow = V3::try_new().map(all);
            let wide = V4::try_new().map(all);
            println!("AVX2: {}, AVX-512: {}", narrow.is_some(), wide.is_some());
            narrow.into_iter().chain(wide).for_each(|values| assert_eq!(values, plain));
        }
    }
}
