//! Whether a canvas gives back what was drawn on it. Some browsers protect their user by noise or by nothing at all.

use std::cell::Cell;

use web_sys::OffscreenCanvasRenderingContext2d;

use crate::{Error, Result};

/// The side of the known picture, in pixels.
pub const SIDE: u32 = 8;
/// How far its channels may be off on average: browsers that change the lowest bits do no harm to a mask.
const TOLERANCE: u32 = 4;

thread_local! {
    static TRUSTED: Cell<bool> = const { Cell::new(false) };
}

/// Draws a known picture and reads it, once; what was wrong is asked again, for a user may allow it meanwhile.
///
/// # Errors
/// [`Error::PixelsProtected`] if it comes back as another.
pub fn check(canvas: impl FnOnce() -> Option<OffscreenCanvasRenderingContext2d>) -> Result<()> {
    // Where there is no canvas, reading the picture itself will say so.
    let Some(context) = (!TRUSTED.get()).then(canvas).flatten() else {
        return Ok(());
    };
    if context.set_global_composite_operation("source-over").is_err() {
        return Ok(());
    }
    let known: Vec<[u8; 3]> =
        (0..SIDE * SIDE).map(|i| [(37 * i) as u8, (91 * i + 50) as u8, (151 * i + 13) as u8]).collect();
    for (i, [r, g, b]) in (0..).zip(&known) {
        context.set_fill_style_str(&format!("rgb({r},{g},{b})"));
        context.fill_rect(f64::from(i % SIDE), f64::from(i / SIDE), 1.0, 1.0);
    }
    let Ok(read) = context.get_image_data(0.0, 0.0, f64::from(SIDE), f64::from(SIDE)) else {
        return Ok(());
    };
    let read = read.data();
    let off: u32 = (read.as_chunks::<4>().0.iter().zip(&known))
        .map(|([r, g, b, a], known)| {
            [r, g, b].iter().zip(known).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() + u32::from(255 - a)
        })
        .sum();
    if off > TOLERANCE * 3 * SIDE * SIDE {
        return Err(Error::PixelsProtected);
    }
    TRUSTED.set(true);
    Ok(())
}
