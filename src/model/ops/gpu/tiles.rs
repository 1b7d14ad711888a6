//! In what shape a matrix product is cut for a GPU.
//!
//! No shape is best everywhere: what one adapter's registers hold another's spill, and a program that plays an adapter is
//! slowed by every barrier. Each is a few constants of the same kernel; which one runs is chosen when the model is loaded.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A way to cut products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tiles {
    /// What it is called in benchmarks and in the cache.
    pub name: &'static str,
    /// The tile of most products, or none: then nothing is cut.
    pub large: Option<Tile>,
    /// Whether a thread may hold some hundred numbers without spilling them.
    pub roomy: bool,
}

/// The part of a product that a workgroup computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of the result.
    pub rows: usize,
    /// Columns of the result, in vectors of four.
    pub columns: usize,
    /// Columns of the left factor that are in workgroup memory at once, in vectors of four.
    pub depth: usize,
    /// Rows of the result that a thread keeps, so many threads apart.
    pub thread_rows: usize,
    /// Columns of the result that a thread keeps, in vectors of four.
    pub thread_columns: usize,
    /// Whether the compiler may see how long the innermost loop is, and unroll it.
    pub unrolled: bool,
}

/// 32×32 with 4×4 to a thread: for products too narrow or too short for a larger one, and where registers are few.
pub const SMALL: Tile = Tile { rows: 32, columns: 8, depth: 8, thread_rows: 4, thread_columns: 1, unrolled: false };

/// All there are.
pub const ALL: [Tiles; 4] = [
    // 64 multiply-adds for 16 numbers from workgroup memory; some 110 registers.
    Tiles {
        name: "8x8",
        large: Some(Tile { rows: 64, columns: 16, depth: 4, thread_rows: 8, thread_columns: 2, unrolled: true }),
        roomy: true,
    },
    // Half of that in half the registers, for adapters that would rather have twice the threads.
    Tiles {
        name: "4x8",
        large: Some(Tile { rows: 64, columns: 16, depth: 4, thread_rows: 4, thread_columns: 2, unrolled: true }),
        roomy: false,
    },
    Tiles { name: "4x4", large: Some(SMALL), roomy: false },
    Tiles { name: "direct", large: None, roomy: true },
];

/// Where in [`ALL`] the shape in use is: of the process, as its GPU is.
static CHOSEN: AtomicUsize = AtomicUsize::new(2);

/// The shape in use.
pub fn chosen() -> Tiles {
    ALL[CHOSEN.load(Ordering::Relaxed)]
}

/// Uses another shape from the next product on. A name that is none is told by `false`, and changes nothing.
pub fn choose(name: &str) -> bool {
    let found = ALL.iter().position(|tiles| tiles.name == name);
    if let Some(place) = found {
        CHOSEN.store(place, Ordering::Relaxed);
    }
    found.is_some()
}

/// The shape that is likely the best on an adapter of this vendor, until it has been measured. From their compilers'
/// answers: registers without spilling on Intel, the share of multiply-adds elsewhere.
pub fn likely(vendor: &str, software: bool) -> &'static str {
    let vendor = vendor.to_lowercase();
    if software {
        "direct"
    } else if ["nvidia", "apple", "amd"].iter().any(|name| vendor.contains(name)) {
        "8x8"
    } else if vendor.contains("qualcomm") {
        "4x8"
    } else {
        "4x4"
    }
}

impl Tile {
    /// Whether products of such sizes can be cut so: `inputs` and `outputs` in vectors of four.
    pub fn fits(&self, rows: usize, inputs: usize, outputs: usize) -> bool {
        rows >= self.rows / 2 && inputs.is_multiple_of(self.depth) && outputs.is_multiple_of(self.columns)
    }
}

impl Tiles {
    /// The tile for a product, if it shall be cut at all.
    pub fn tile(&self, rows: usize, inputs: usize, outputs: usize) -> Option<Tile> {
        let large = self.large?;
        [large, SMALL].into_iter().find(|tile| tile.fits(rows, inputs, outputs))
    }
}
