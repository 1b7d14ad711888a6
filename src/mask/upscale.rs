//! Low-res logits at original size, row by row.
//!
//! The reference interpolates twice (`Sam.postprocess_masks`): `side/4` → `side`, cut to the photo, → original
//! size; each bilinear with half-pixel centres and without antialiasing. Both steps are separable and linear,
//! so both together are one sparse product for each axis: every original pixel depends on three
//! neighbouring low-res columns and three rows. A low-res row is stretched to full width once; every
//! original row is then a blend of three stretched ones, which is all the work that grows with the photo.

use crate::image::Frame;
use std::ops::Range;

/// Low-res logits of one mask, row-major, the photo in their top-left corner.
#[derive(Debug, Clone, Copy)]
pub struct LowRes<'a> {
    /// `[rows, columns]`: `[side/4, side/4]`, or fewer, but no fewer than the photo's logits are blends of
    /// ([`Frame::seen`]).
    pub logits: &'a [f32],
    /// How many to a row.
    pub columns: usize,
}

impl<'a> LowRes<'a> {
    /// All of them, `[side/4, side/4]`.
    pub fn whole(logits: &'a [f32], frame: &Frame) -> Self {
        LowRes { logits, columns: frame.low_res_side() as usize }
    }

    /// `[rows, columns]`, if they are enough.
    fn shape(&self, frame: &Frame) -> Option<[usize; 2]> {
        let shape = [self.logits.len().checked_div(self.columns)?, self.columns];
        let enough = frame.seen().iter().zip(shape).all(|(cells, length)| 4 * cells <= length);
        (enough && self.logits.len() == shape[0] * shape[1]).then_some(shape)
    }
}

/// Calls `visit(y, x, logits)` for the rows of a mask, top to bottom: `logits` are those of original row `y`
/// from column `x` on.
///
/// Only the smallest rectangle that surely holds every logit over `above` is visited, the same columns in
/// each row; with `f32::NEG_INFINITY` that is every pixel that the network saw. All its logits elsewhere are `≤ above`.
///
/// Nothing is visited if there are too few low-res logits.
pub fn visit_rows(low_res: LowRes<'_>, frame: &Frame, above: f32, mut visit: impl FnMut(u32, u32, &[f32])) {
    let Some([lines, side]) = low_res.shape(frame) else {
        return;
    };
    let low_res = low_res.logits;
    let Some((columns, rows)) = cells_above(low_res, side, above) else {
        return;
    };
    let [left, top, width, height] = frame.crop;
    let across = taps(side, frame.resized.0, width);
    let down = taps(lines, frame.resized.1, height);
    let (xs, ys) = (reached(&across, &columns), reached(&down, &rows));
    let (Some(first_row), false) = (down.get(ys.start), xs.is_empty()) else {
        return;
    };

    // The last three low-res rows, stretched; row r lies at r % 3.
    let mut stretched = [(); 3].map(|()| vec![0f32; xs.len()]);
    let mut next_row = first_row.first;
    let mut logits = vec![0f32; xs.len()];
    for y in ys {
        let Tap { first, weights } = down[y];
        while next_row <= first + 2 {
            let row = &low_res[next_row * side..(next_row + 1) * side];
            stretch(row, &across[xs.clone()], &mut stretched[next_row % 3]);
            next_row += 1;
        }
        let [a, b, c] = [0, 1, 2].map(|i| stretched[(first + i) % 3].as_slice());
        blend([a, b, c], weights, &mut logits);
        visit(top + y as u32, left + xs.start as u32, &logits);
    }
}

/// Where an original row or column comes from: three neighbouring low-res ones.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    weights: [f32; 3],
}

/// The taps of one axis: `low_res` logits → four times as many, cut to `resized`, → `original`.
fn taps(low_res: usize, resized: u32, original: u32) -> Vec<Tap> {
    let low_res = low_res as u32;
    // f32, as in the reference: at a thousand pixels its rounding moves logits by more than 1e-5.
    let scale = resized as f32 / original as f32;
    let tap = |at| {
        let fine = lerp(at, scale, resized);
        let coarse = fine.map(|(at, weight)| (lerp(at, 0.25, low_res), weight));
        // Three fit, since neighbours on the fine grid are a quarter apart on the coarse one.
        let first = (coarse[0].0[0].0).min(low_res - 3);
        let mut weights = [0f64; 3];
        for (pair, outer) in coarse {
            for (at, inner) in pair {
                weights[(at - first) as usize] += f64::from(outer) * f64::from(inner);
            }
        }
        Tap { first: first as usize, weights: weights.map(|w| w as f32) }
    };
    (0..original).map(tap).collect()
}

/// Bilinear interpolation with half-pixel centres: the two of `length` positions, `scale` apart, between
/// which position `at` lies, with their weights.
fn lerp(at: u32, scale: f32, length: u32) -> [(u32, f32); 2] {
    let place = (scale * (at as f32 + 0.5) - 0.5).max(0.0);
    let low = (place as u32).min(length - 1);
    let high = (low + 1).min(length - 1);
    let weight = (place - low as f32).clamp(0.0, 1.0);
    [(low, 1.0 - weight), (high, weight)]
}

/// The columns and rows around all low-res logits over `above`.
fn cells_above(low_res: &[f32], side: usize, above: f32) -> Option<(Range<usize>, Range<usize>)> {
    // A blend can exceed its largest part by rounding.
    let above = above - 1e-4 * (1.0 + above.abs());
    let (mut columns, mut rows) = (side..0, low_res.len() / side..0);
    for (row, y) in low_res.chunks_exact(side).zip(0..) {
        if let Some(first) = row.iter().position(|&logit| logit > above) {
            let last = row.iter().rposition(|&logit| logit > above).unwrap_or(first);
            columns = columns.start.min(first)..columns.end.max(last + 1);
            rows = rows.start.min(y)..y + 1;
        }
    }
    (!rows.is_empty()).then_some((columns, rows))
}

/// The original positions that depend on any of these low-res ones.
fn reached(taps: &[Tap], cells: &Range<usize>) -> Range<usize> {
    let start = taps.partition_point(|tap| tap.first + 2 < cells.start);
    let end = taps.partition_point(|tap| tap.first < cells.end);
    start..end
}

fn stretch(row: &[f32], taps: &[Tap], out: &mut [f32]) {
    for (out, Tap { first, weights }) in out.iter_mut().zip(taps) {
        if let Some(&[a, b, c]) = row.get(*first..first + 3) {
            *out = weights[0] * a + weights[1] * b + weights[2] * c;
        }
    }
}

/// One multiplication and addition after the other: the same bits on every machine.
fn blend([a, b, c]: [&[f32]; 3], weights: [f32; 3], out: &mut [f32]) {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = weights[0] * a + weights[1] * b + weights[2] * c;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One bilinear step as the reference takes it, f32 throughout. Sizes are (width, height).
    fn interpolate(from: &[f32], stride: usize, size: (u32, u32), to: (u32, u32)) -> Vec<f32> {
        let source = |at: u32, from: u32, to: u32| {
            let place = (from as f32 / to as f32 * (at as f32 + 0.5) - 0.5).max(0.0);
            let low = (place.floor() as u32).min(from - 1);
            let high = low + u32::from(low < from - 1);
            (low as usize, high as usize, place - low as f32)
        };
        let mut out = Vec::new();
        for y in 0..to.1 {
            let (y0, y1, v) = source(y, size.1, to.1);
            for x in 0..to.0 {
                let (x0, x1, u) = source(x, size.0, to.0);
                let row = |y| from[y * stride + x0] * (1.0 - u) + from[y * stride + x1] * u;
                out.push(row(y0) * (1.0 - v) + row(y1) * v);
            }
        }
        out
    }

    /// Both steps, as the reference takes them.
    pub(in super::super) fn two_steps(low_res: &[f32], frame: &Frame) -> Vec<f32> {
        let (side, low) = (frame.side, frame.low_res_side());
        let fine = interpolate(low_res, low as usize, (low, low), (side, side));
        interpolate(&fine, side as usize, frame.resized, frame.original)
    }

    prop_compose! {
        /// A frame and low-res logits of magnitude 10, rough or smooth.
        pub(in super::super) fn any_logits()(
            frame in (1u32..300, 1u32..300, 1u32..4)
                .prop_map(|(w, h, n)| Frame::new(w, h, 64 * n).unwrap()),
        )(
            values in prop::collection::vec(-10f32..10.0, frame.low_res_side().pow(2) as usize),
            smooth in prop::option::of((0f32..10.0, 0f32..10.0)),
            frame in Just(frame),
        ) -> (Frame, Vec<f32>) {
            let low = frame.low_res_side() as usize;
            let logits = values.iter().enumerate().map(|(i, &value)| match smooth {
                None => value,
                Some((u, v)) => {
                    let (x, y) = ((i % low) as f32 / low as f32, (i / low) as f32 / low as f32);
                    9.0 * (u * x).sin() * (v * y).cos() - 1.0
                }
            });
            (frame, logits.collect())
        }
    }

    pub(in super::super) fn all_rows(low_res: &[f32], frame: &Frame) -> Vec<f32> {
        let mut all = Vec::new();
        visit_rows(LowRes::whole(low_res, frame), frame, f32::NEG_INFINITY, |y, x, logits| {
            assert_eq!(x, 0);
            assert_eq!(all.len(), y as usize * logits.len());
            all.extend_from_slice(logits);
        });
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn equals_two_steps((frame, low_res) in any_logits()) {
            let (ours, theirs) = (all_rows(&low_res, &frame), two_steps(&low_res, &frame));
            prop_assert_eq!(ours.len(), theirs.len());
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                prop_assert!((a - b).abs() <= 1e-5, "{i}: {a} {b}");
            }
        }

        #[test]
        fn nothing_above_is_left_out((frame, low_res) in any_logits(), above in -12f32..12.0) {
            let mut left = all_rows(&low_res, &frame);
            visit_rows(LowRes::whole(&low_res, &frame), &frame, above, |y, x, logits| {
                let start = y as usize * frame.original.0 as usize + x as usize;
                let place = &mut left[start..start + logits.len()];
                assert_eq!(place, logits);
                place.fill(f32::NEG_INFINITY);
            });
            prop_assert!(left.iter().all(|&logit| logit <= above));
        }
    }

    /// The first rows and columns of low-res logits.
    fn part(low_res: &[f32], side: usize, [rows, columns]: [usize; 2]) -> Vec<f32> {
        low_res.chunks_exact(side).take(rows).flat_map(|row| &row[..columns]).copied().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn what_is_not_seen_is_not_needed((frame, low_res) in any_logits()) {
            let side = frame.low_res_side() as usize;
            let seen @ [rows, columns] = frame.seen().map(|cells| 4 * cells);
            let whole = all_rows(&low_res, &frame);
            let few = part(&low_res, side, seen);
            let mut of_few = Vec::new();
            visit_rows(LowRes { logits: &few, columns }, &frame, f32::NEG_INFINITY, |_, _, row| of_few.extend_from_slice(row));
            prop_assert_eq!(&of_few, &whole);
            // And what is seen is, of four rows or columns the first: but for photos so small that their last pixel's
            // middle is further from the edge.
            let ((width, height), (across, down)) = (frame.original, frame.resized);
            for (is_row, length) in [(true, rows), (false, columns)] {
                let is_small = if is_row { height < down } else { width < across };
                if is_small {
                    continue;
                }
                let on = |at: usize| (if is_row { at / side } else { at % side }) == length - 4;
                let other: Vec<f32> = low_res.iter().zip(0..).map(|(x, at)| x + f32::from(u8::from(on(at)))).collect();
                prop_assert!(all_rows(&other, &frame) != whole, "{:?}", frame);
            }
        }
    }

    /// A blend of equal logits can exceed them by rounding: where it does, it is visited.
    #[test]
    fn what_rounding_lifts_over_the_cut_is_visited() {
        let mut lifted = 0;
        for (i, (width, height)) in (0..).zip([(300, 200), (211, 97), (640, 480), (37, 149)]) {
            let frame = Frame::new(width, height, 64).unwrap();
            for value in [0.3f32, 7.3, 8.499, -0.7] {
                let value = value + 0.01 * i as f32;
                let low_res = [value; 16 * 16];
                let over = |logits: &[f32]| logits.iter().filter(|logit| **logit > value).count();
                let mut visited = 0;
                visit_rows(LowRes::whole(&low_res, &frame), &frame, value, |_, _, logits| visited += over(logits));
                assert_eq!(visited, over(&all_rows(&low_res, &frame)));
                lifted += visited;
            }
        }
        assert!(lifted > 0);
    }

    /// The rectangle ends where no logit is a blend of what is over the cut.
    #[test]
    fn nothing_that_depends_on_nothing_is_visited() {
        let depend = |cell: usize, cells: usize, resized: u32, original: u32| {
            let taps = taps(cells, resized, original);
            let depends: Vec<usize> =
                (0..taps.len()).filter(|at| (taps[*at].first..taps[*at].first + 3).contains(&cell)).collect();
            (depends[0], depends.len())
        };
        for (sides, column, row) in
            [((300, 200), 0, 0), ((300, 200), 7, 4), ((300, 200), 15, 10), ((300, 200), 3, 9), ((100, 300), 2, 14)]
        {
            let frame = Frame::new(sides.0, sides.1, 64).unwrap();
            let [lines, columns] = frame.seen().map(|cells| 4 * cells);
            let mut low_res = vec![0.0; lines * columns];
            low_res[row * columns + column] = 1.0;
            let mut rows = Vec::new();
            visit_rows(LowRes { logits: &low_res, columns }, &frame, 0.5, |y, x, logits| {
                rows.push((y as usize, x as usize, logits.len()))
            });
            let (left, width) = depend(column, columns, frame.resized.0, sides.0);
            let (top, height) = depend(row, lines, frame.resized.1, sides.1);
            assert_eq!(rows, (top..top + height).map(|y| (y, left, width)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn large_photos_and_the_largest_side() {
        for (width, height) in [(4000, 3), (2, 3001), (16_384, 160), (1, 1), (900, 1100)] {
            let frame = Frame::new(width, height, 1024).unwrap();
            let low_res: Vec<f32> = (0..256 * 256u32)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 * 10.0 - 10.0)
                .collect();
            let (ours, theirs) = (all_rows(&low_res, &frame), two_steps(&low_res, &frame));
            assert_eq!(ours.len(), theirs.len());
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-5));
        }
    }

    #[test]
    fn logits_that_are_too_few_are_not_visited() {
        let frame = Frame::new(5, 4, 64).unwrap();
        for (length, columns) in [(255, 16), (256, 15), (16 * 12, 16), (0, 0), (16 * 16, 256)] {
            let low_res = LowRes { logits: &vec![1.0; length], columns };
            visit_rows(low_res, &frame, 0.0, |_, _, _| panic!("{length}, {columns}"));
        }
    }
}
