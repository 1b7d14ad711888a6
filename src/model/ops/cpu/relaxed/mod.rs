//! The inner loops in relaxed SIMD, whose fused multiply-add does in one instruction what SIMD128 does in two.
//!
//! A module with such an instruction is invalid to a browser that lacks it, so a choice would take two modules of 2 MB. But
//! only a few loops gain by it. They alone are compiled a second time, to 5 kB that lie within this module as data and are a
//! module, too: it imports this one's memory, and its function is called through this one's table.

use std::sync::OnceLock;

use super::kernel::Panel;

/// The loops, compiled: a WebAssembly module that imports `env.memory` and exports `multiply`.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relaxed.wasm"));

type Multiply = unsafe extern "C" fn(*const Panel);

static MULTIPLY: OnceLock<Multiply> = OnceLock::new();

/// Takes `multiply` of [`MODULE`] for every product from now on.
///
/// # Safety
/// It stands at this place of this module's table, and the instance that it is of has this module's memory.
pub unsafe fn adopt(multiply: usize) {
    // SAFETY: in WebAssembly a function's address is its place in the table, and `multiply` is of this type.
    let _ = MULTIPLY.set(unsafe { std::mem::transmute::<usize, Multiply>(multiply) });
}

/// Whether products are fused.
pub fn adopted() -> bool {
    MULTIPLY.get().is_some()
}

/// # Safety
/// As [`Panel::multiply`].
pub unsafe fn multiply(panel: &Panel) {
    // SAFETY: as the caller promises.
    unsafe {
        match MULTIPLY.get() {
            Some(multiply) => multiply(panel),
            None => panel.multiply(),
        }
    }
}
