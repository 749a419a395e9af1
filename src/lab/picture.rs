//! The signature of a PNG: the hash of its bytes and of the SVG that shows the same drawing.
//!
//! It shows that a picture is unchanged, without drawing the PNG again, which takes far longer than the SVG.

use crate::artefact::hash;
use crate::figures::{with_text, without_text};

/// The length of a hash in hexadecimal.
const DIGITS: usize = 64;

/// A PNG with the signature of its drawing.
pub(super) fn signed(png: &[u8], svg: &[u8]) -> Vec<u8> {
    with_text(png, &hash(&[svg, png].concat()))
}

/// True if a PNG was signed together with this SVG and has not changed since.
pub(super) fn is_signed(png: &[u8], svg: &[u8]) -> bool {
    without_text(png, DIGITS).is_some_and(|plain| signed(&plain, svg) == png)
}
