//! The inner loops of a matrix product in WebAssembly: one panel of columns for every row.
//!
//! Two rows by sixteen columns are eight sums in registers, beside the four vectors of a row of `b` and one number of
//! `a`: what V8 can hold, which has fifteen registers. With four rows by twelve columns it spills. Where a browser has relaxed
//! SIMD, the same panels are multiplied by `relaxed/loops.wat`.
//!
//! An element of the product is the sum over `k` in order, by itself in its lane. So it is the same whichever rows are
//! computed together with it, and whichever columns.

/// Columns of a panel; what is left over on the right is in panels of [`NARROW`].
pub const WIDE: usize = 16;
/// Columns of a panel that is one vector wide.
pub const NARROW: usize = LANES;
/// Rows of `b` that are multiplied at a time: with sixteen columns, half of a first-level cache.
pub const DEPTH: usize = 384;

const LANES: usize = 4;

/// Four numbers.
#[cfg(target_arch = "wasm32")]
mod lanes {
    use core::arch::wasm32 as simd;

    pub type Lanes = simd::v128;

    #[inline(always)]
    pub fn splat(x: f32) -> Lanes {
        simd::f32x4_splat(x)
    }
    #[inline(always)]
    pub fn add(a: Lanes, b: Lanes) -> Lanes {
        simd::f32x4_add(a, b)
    }
    #[inline(always)]
    pub fn multiply(a: Lanes, b: Lanes) -> Lanes {
        simd::f32x4_mul(a, b)
    }
    /// # Safety
    /// Four numbers are there.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Lanes {
        // SAFETY: as the caller promises; WebAssembly has no alignment to keep.
        unsafe { simd::v128_load(from.cast()) }
    }
    /// # Safety
    /// There is room for four numbers.
    #[inline(always)]
    pub unsafe fn store(to: *mut f32, x: Lanes) {
        // SAFETY: as the caller promises; WebAssembly has no alignment to keep.
        unsafe { simd::v128_store(to.cast(), x) }
    }
}

/// Four numbers, for tests on other machines.
#[cfg(not(target_arch = "wasm32"))]
mod lanes {
    pub type Lanes = [f32; 4];

    pub fn splat(x: f32) -> Lanes {
        [x; 4]
    }
    pub fn add(a: Lanes, b: Lanes) -> Lanes {
        core::array::from_fn(|i| a[i] + b[i])
    }
    pub fn multiply(a: Lanes, b: Lanes) -> Lanes {
        core::array::from_fn(|i| a[i] * b[i])
    }
    /// # Safety
    /// Four numbers are there.
    pub unsafe fn load(from: *const f32) -> Lanes {
        // SAFETY: as the caller promises.
        unsafe { from.cast::<Lanes>().read_unaligned() }
    }
    /// # Safety
    /// There is room for four numbers.
    pub unsafe fn store(to: *mut f32, x: Lanes) {
        // SAFETY: as the caller promises.
        unsafe { to.cast::<Lanes>().write_unaligned(x) }
    }
}

use lanes::{Lanes, add, load, multiply, splat, store};

/// A panel of a product: `out = [out +] scale·a·b`.
#[derive(Clone, Copy)]
pub struct Panel {
    /// Rows of `a` and of `out`.
    pub rows: usize,
    /// Columns of `a` and rows of `b`.
    pub depth: usize,
    /// `[rows, width]`.
    pub out: *mut f32,
    /// How far the next row of `out` is.
    pub stride: usize,
    /// [`WIDE`], or up to [`NARROW`].
    pub width: usize,
    /// Whether `out` is added to.
    pub add: bool,
    /// `[rows, depth]`.
    pub a: *const f32,
    /// How far the next row of `a` is.
    pub a_row: usize,
    /// How far the next column of `a` is.
    pub a_column: usize,
    /// `[depth, WIDE]` or `[depth, NARROW]`.
    pub b: *const f32,
    /// How far the next row of `b` is.
    pub b_row: usize,
    /// What the product is multiplied with.
    pub scale: f32,
}

impl Panel {
    /// Multiplies.
    ///
    /// # Safety
    /// What the fields describe is there to be read and, of `out`, to be written, and `out` overlaps neither factor.
    pub unsafe fn multiply(&self) {
        // SAFETY: the rows that are given are below `rows`, and the caller promises that these are there.
        unsafe {
            if self.width == WIDE {
                let done = self.strips::<2, 4>(0);
                self.strips::<1, 4>(done);
            } else {
                let done = self.strips::<8, 1>(0);
                self.strips::<1, 1>(done);
            }
        }
    }

    /// Computes `ROWS` rows at a time, from row `first` on, and says which row it did not come to.
    #[inline(always)]
    unsafe fn strips<const ROWS: usize, const VECTORS: usize>(&self, first: usize) -> usize {
        let mut row = first;
        while row + ROWS <= self.rows {
            // SAFETY: as the caller of `multiply` promises, for rows below `rows`.
            unsafe { self.finish(row, self.sums::<ROWS, VECTORS>(row)) };
            row += ROWS;
        }
        row
    }

    #[inline(always)]
    unsafe fn sums<const ROWS: usize, const VECTORS: usize>(&self, row: usize) -> [[Lanes; VECTORS]; ROWS] {
        let mut sums = [[splat(0.0); VECTORS]; ROWS];
        // SAFETY: every number that is read is one of those rows of `a`, or in one of `depth` rows of `b`.
        unsafe {
            let mut a: [*const f32; ROWS] = core::array::from_fn(|i| self.a.add((row + i) * self.a_row));
            let mut b = self.b;
            let end = b.wrapping_add(self.depth * self.b_row);
            while b != end {
                let columns: [Lanes; VECTORS] = core::array::from_fn(|i| load(b.add(i * LANES)));
                for (a, sums) in a.iter_mut().zip(&mut sums) {
                    let x = splat(**a);
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = add(*sum, multiply(x, columns));
                    }
                    // Beyond the last number nothing is read.
                    *a = a.wrapping_add(self.a_column);
                }
                b = b.wrapping_add(self.b_row);
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn finish<const ROWS: usize, const VECTORS: usize>(&self, row: usize, sums: [[Lanes; VECTORS]; ROWS]) {
        let scale = splat(self.scale);
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: only the `width` numbers of each row of `out` are read and written.
            unsafe {
                let out = self.out.add((row + i) * self.stride);
                for (vector, sum) in sums.iter().enumerate() {
                    let out = out.wrapping_add(vector * LANES);
                    let product = multiply(*sum, scale);
                    if self.width >= NARROW {
                        store(out, if self.add { add(load(out), product) } else { product });
                        continue;
                    }
                    let mut lanes = [0.0; LANES];
                    store(lanes.as_mut_ptr(), product);
                    for (column, product) in lanes.iter().enumerate().take(self.width) {
                        let out = out.add(column);
                        *out = if self.add { *out + product } else { *product };
                    }
                }
            }
        }
    }
}
