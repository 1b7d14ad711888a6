//! [`kernel`] as a WebAssembly module of its own. It is no part of the crate: the build script compiles it.

#![no_std]

#[allow(dead_code)]
#[path = "../kernel.rs"]
mod kernel;

/// # Safety
/// As [`kernel::Panel::multiply`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn multiply(panel: *const kernel::Panel) {
    // SAFETY: as the caller promises.
    unsafe { (*panel).multiply() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
