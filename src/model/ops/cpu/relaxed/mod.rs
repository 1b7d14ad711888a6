//! The inner loops in relaxed SIMD, whose fused multiply-add does in one instruction what SIMD128 does in two.
//!
//! A module with such an instruction is invalid to a browser that lacks it, so a choice would take two modules of 2 MB. But
//! only a few loops gain much by it. They alone are written a second time (`loops.wat`), in two kilobytes that lie within
//! this module as data and are a module, too: it imports this one's memory, and its functions are called through this one's
//! table.

use std::sync::OnceLock;

use super::kernel::{Panel, WIDE};

/// The loops, assembled: a WebAssembly module that imports `env.memory` and exports [`LOOPS`].
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relaxed.wasm"));

/// What [`MODULE`] exports.
pub const LOOPS: [&str; 3] = ["multiply", "gelu", "exp"];

/// The parameters of `multiply`.
#[rustfmt::skip] // a line for each operand
type Multiply = unsafe extern "C" fn(
    rows: usize, depth: usize, out: *mut f32, out_row: usize, add: bool,
    a: *const f32, a_row: usize, a_column: usize,
    b: *const f32, b_row: usize, scale: f32,
);

/// The first number, and the end of them.
type InPlace = unsafe extern "C" fn(*mut f32, *mut f32);

struct Fused {
    multiply: Multiply,
    gelu: InPlace,
    exp: InPlace,
}

static FUSED: OnceLock<Fused> = OnceLock::new();

/// Takes the loops of [`MODULE`] from now on.
///
/// # Safety
/// [`LOOPS`] stand at these places of this module's table, and the instance that they are of has this module's memory.
pub unsafe fn adopt([multiply, gelu, exp]: [usize; LOOPS.len()]) {
    // SAFETY: in WebAssembly a function's address is its place in the table, and they are of these types.
    let _ = FUSED.set(unsafe {
        Fused {
            multiply: std::mem::transmute::<usize, Multiply>(multiply),
            gelu: std::mem::transmute::<usize, InPlace>(gelu),
            exp: std::mem::transmute::<usize, InPlace>(exp),
        }
    });
}

/// Whether the loops are fused.
pub fn adopted() -> bool {
    FUSED.get().is_some()
}

/// # Safety
/// As [`Panel::multiply`].
pub unsafe fn multiply(panel: &Panel) {
    const FLOAT: usize = size_of::<f32>();
    let Panel { rows, depth, out, stride, width, add, a, a_row, a_column, b, b_row, scale } = *panel;
    // SAFETY: as the caller promises.
    unsafe {
        match FUSED.get() {
            // What is left over on the right is little.
            Some(Fused { multiply, .. }) if width == WIDE && depth > 0 => {
                let (out_row, a_row, a_column, b_row) =
                    (stride * FLOAT, a_row * FLOAT, a_column * FLOAT, b_row * FLOAT);
                multiply(rows, depth, out, out_row, add, a, a_row, a_column, b, b_row, scale);
            }
            _ => panel.multiply(),
        }
    }
}

/// `plain`, which is GELU, of all numbers.
pub fn gelu(x: &mut [f32], plain: impl Fn(f32) -> f32) {
    in_place(x, FUSED.get().map(|fused| fused.gelu), plain);
}

/// `plain`, which is eˣ, of all numbers.
pub fn exp(x: &mut [f32], plain: impl Fn(f32) -> f32) {
    in_place(x, FUSED.get().map(|fused| fused.exp), plain);
}

#[inline(always)]
fn in_place(x: &mut [f32], fused: Option<InPlace>, plain: impl Fn(f32) -> f32) {
    let whole = if fused.is_some() { x.len() / 4 * 4 } else { 0 };
    let (vectors, rest) = x.split_at_mut(whole);
    if let Some(fused) = fused
        && !vectors.is_empty()
    {
        let all = vectors.as_mut_ptr_range();
        // SAFETY: what is between the two is borrowed mutably, and is whole vectors, of which there is one.
        unsafe { fused(all.start, all.end) };
    }
    rest.iter_mut().for_each(|x| *x = plain(*x));
}
