//! Matrix products: `gemm`'s natively, which knows the machine's instruction set; in WebAssembly those of `kernel.rs`, which
//! are faster there.

#[cfg(any(target_family = "wasm", test))]
use super::kernel::{DEPTH, NARROW, Panel, WIDE};

/// A matrix within a slice: how far its next row and its next column are.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row, `row` floats apart.
    pub fn rows(data: &'a [f32], row: usize) -> Self {
        Matrix { data, row, column: 1 }
    }
    pub fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }
    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `out = [out +] scale·a·b` for `a [m, k]`, `b [k, n]` and `out [m, n]` whose rows are `stride` apart.
#[allow(clippy::too_many_arguments)] // a matrix product has this many sizes
pub fn product([m, n, k]: [usize; 3], out: &mut [f32], stride: usize, add: bool, a: Matrix, b: Matrix, scale: f32) {
    assert!(Matrix::rows(out, stride).holds(m, n) && a.holds(m, k) && b.holds(k, n));
    #[cfg(not(target_family = "wasm"))]
    // SAFETY: the assertion above keeps every element that is read or written inside its slice, and `out` is borrowed
    // mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    #[cfg(target_family = "wasm")]
    panels([m, n, k], out, stride, add, a, &Right::Loose(b), scale);
}

/// The right factor `[k, n]` of several products, laid out once as they read it.
pub struct Factor<'a> {
    #[cfg(not(target_family = "wasm"))]
    right: Matrix<'a>,
    #[cfg(target_family = "wasm")]
    right: Right<'a>,
    k: usize,
    n: usize,
}

impl<'a> Factor<'a> {
    /// Of a matrix `[k, n]`, which will be multiplied with so many rows in all.
    pub fn new(right: Matrix<'a>, [k, n]: [usize; 2], rows: usize) -> Self {
        assert!(right.holds(k, n));
        #[cfg(not(target_family = "wasm"))]
        let _ = rows;
        #[cfg(target_family = "wasm")]
        let right = if rows > FEW { Right::Packed(packed(right, k, n)) } else { Right::Loose(right) };
        Factor { right, k, n }
    }

    /// `out = a·self` for `a [m, k]` and `out [m, n]`, row after row.
    pub fn product(&self, m: usize, out: &mut [f32], a: Matrix) {
        let sizes = [m, self.n, self.k];
        #[cfg(not(target_family = "wasm"))]
        product(sizes, out, self.n, false, a, self.right, 1.0);
        #[cfg(target_family = "wasm")]
        {
            assert!(out.len() >= m * self.n && a.holds(m, self.k));
            panels(sizes, out, self.n, false, a, &self.right, 1.0);
        }
    }
}

/// With so few rows a factor's columns are read where they lie: to move them would cost more than it saves.
#[cfg(any(target_family = "wasm", test))]
const FEW: usize = 16;

/// A right factor, as it lies or in panels.
#[cfg(any(target_family = "wasm", test))]
enum Right<'a> {
    Loose(Matrix<'a>),
    /// [`DEPTH`] rows after [`DEPTH`] rows, and of these panel after panel.
    Packed(Vec<f32>),
}

/// The panels of `n` columns: where each begins, and how many of its columns there are.
#[cfg(any(target_family = "wasm", test))]
fn columns(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let wide = n / WIDE * WIDE;
    let narrow = (wide..n).step_by(NARROW).map(move |column| (column, NARROW.min(n - column)));
    (0..wide).step_by(WIDE).map(|column| (column, WIDE)).chain(narrow)
}

/// What a panel of so many columns takes of a row.
#[cfg(any(target_family = "wasm", test))]
fn room(width: usize) -> usize {
    if width == WIDE { WIDE } else { NARROW }
}

/// Blocks of up to [`DEPTH`] of `k`: where each begins, and its length.
#[cfg(any(target_family = "wasm", test))]
fn blocks(k: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..k).step_by(DEPTH).map(move |first| (first, DEPTH.min(k - first)))
}

/// Numbers in a row of all panels.
#[cfg(any(target_family = "wasm", test))]
fn padded(n: usize) -> usize {
    columns(n).map(|(_, width)| room(width)).sum()
}

#[cfg(any(target_family = "wasm", test))]
fn packed(b: Matrix, k: usize, n: usize) -> Vec<f32> {
    let mut panels = vec![0.0; k * padded(n)];
    let mut rest = panels.as_mut_slice();
    for (first, depth) in blocks(k) {
        let block;
        (block, rest) = rest.split_at_mut(depth * padded(n));
        pack(block, b, first, depth, n);
    }
    panels
}

/// Copies a block of `b` that begins at a row, panel after panel; what is not there of a panel's last vector stays as it
/// is. It is read as it lies in memory: panel by panel, each row of each would be a journey there of its own.
#[cfg(any(target_family = "wasm", test))]
fn pack(block: &mut [f32], b: Matrix, first: usize, depth: usize, n: usize) {
    // All panels before a column are whole.
    let at = |row: usize, column: usize, width: usize| column * depth + row * room(width);
    if b.column == 1 {
        for row in 0..depth {
            let from = &b.data[(first + row) * b.row..][..n];
            let (from, rest) = from.as_chunks::<WIDE>();
            for (panel, from) in from.iter().enumerate() {
                block[at(row, panel * WIDE, WIDE)..][..WIDE].copy_from_slice(from);
            }
            for (panel, from) in rest.chunks(NARROW).enumerate() {
                block[at(row, n - rest.len() + panel * NARROW, NARROW)..][..from.len()].copy_from_slice(from);
            }
        }
        return;
    }
    for (column, width) in columns(n) {
        for i in 0..width {
            let from = b.data[first * b.row + (column + i) * b.column..].iter().step_by(b.row).take(depth);
            let to = block[at(0, column, width) + i..].iter_mut().step_by(room(width));
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}

/// As [`product`], of what it has asserted.
#[cfg(any(target_family = "wasm", test))]
fn panels([m, n, k]: [usize; 3], out: &mut [f32], stride: usize, add: bool, a: Matrix, b: &Right, scale: f32) {
    if m == 0 {
        return;
    }
    if k == 0 && !add {
        out.chunks_mut(stride).take(m).for_each(|row| row[..n].fill(0.0));
    }
    let in_place = matches!(b, Right::Loose(b) if b.column == 1 && m <= FEW && n.is_multiple_of(NARROW));
    let mut scratch = Vec::new();
    let mut passed = 0; // numbers of packed panels
    for (first, depth) in blocks(k) {
        let block = match b {
            Right::Packed(panels) => &panels[passed..][..depth * padded(n)],
            Right::Loose(_) if in_place => &[],
            Right::Loose(b) => {
                scratch.resize(depth * padded(n), 0.0);
                pack(&mut scratch, *b, first, depth, n);
                &*scratch
            }
        };
        passed += block.len();
        for (column, width) in columns(n) {
            let room = room(width);
            let (b, b_row) = match b {
                Right::Loose(b) if in_place => (&b.data[first * b.row + column..][..(depth - 1) * b.row + room], b.row),
                _ => (&block[column * depth..][..depth * room], room),
            };
            let panel = Panel {
                rows: m,
                depth,
                out: out[column..].as_mut_ptr(),
                stride,
                width,
                add: add || first > 0,
                a: a.data[first * a.column..].as_ptr(),
                a_row: a.row,
                a_column: a.column,
                b: b.as_ptr(),
                b_row,
                scale,
            };
            // SAFETY: `a` and `out` hold `m` rows of `k` and of `n` numbers, as the caller has asserted, of which those
            // from `first` and from `column` on are meant; `b`'s slice ends with its last number. `out` is borrowed
            // mutably, so it overlaps neither.
            unsafe {
                #[cfg(target_family = "wasm")]
                super::relaxed::multiply(&panel);
                #[cfg(not(target_family = "wasm"))]
                panel.multiply();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u32, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Columns that are whole panels, and every number of those that are not; few rows and many; more than one block.
    const SIZES: [[usize; 3]; 9] = [
        [1, 1, 1],
        [7, 16, 3],
        [2, 19, 40],
        [17, 49, 32],
        [33, 30, 7],
        [16, 2, 385],
        [20, 64, 800],
        [3, 40, 768],
        [5, 9, 0],
    ];

    #[test]
    fn the_kernel_multiplies_as_gemm_does() {
        for [m, n, k] in SIZES {
            let (a, b, before) = (numbers(1, m * k), numbers(2, k * n), numbers(3, m * (n + 3)));
            for (a_turned, b_turned) in [(false, false), (false, true), (true, false)] {
                let lying = |data, rows, columns, turned| match turned {
                    true => Matrix::rows(data, rows).transposed(),
                    false => Matrix::rows(data, columns),
                };
                let (a, b) = (lying(&a, m, k, a_turned), lying(&b, k, n, b_turned));
                for (add, scale) in [(false, 1.0), (true, 0.25)] {
                    let mut expected = before.clone();
                    product([m, n, k], &mut expected, n + 3, add, a, b, scale);
                    for right in [Right::Loose(b), Right::Packed(packed(b, k, n))] {
                        let mut actual = before.clone();
                        panels([m, n, k], &mut actual, n + 3, add, a, &right, scale);
                        for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
                            let near = (actual - expected).abs() <= 1e-6 * (k + 1) as f32;
                            assert!(near, "{m}×{n}×{k}: element {i} is {actual} instead of {expected}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_whatever_it_is_computed_with() {
        for [m, n, k] in SIZES {
            let (a, b) = (numbers(1, m * k), numbers(2, k * n));
            let (a, b) = (Matrix::rows(&a, k), Matrix::rows(&b, n));
            let mut together = vec![0.0; m * n];
            panels([m, n, k], &mut together, n, false, a, &Right::Packed(packed(b, k, n)), 1.0);
            for (row, together) in together.chunks_exact(n).enumerate() {
                let mut alone = vec![0.0; n];
                let a = Matrix::rows(&a.data[row * k..], k);
                panels([1, n, k], &mut alone, n, false, a, &Right::Loose(b), 1.0);
                assert!(
                    alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "row {row} of {m}×{n}×{k}"
                );
            }
        }
    }
}
