//! A mask's outlines as polygons.
//!
//! The outlines run along the cracks between pixels, so they hold exactly the mask's pixels; then corners are
//! left out as far as a tolerance allows (Douglas–Peucker).

use crate::mask::Bitmap;
use crate::mask::Regions;

/// A closed line of corners `[x, y]` in original pixels, where pixel (0, 0) covers 0..1 × 0..1; the last
/// corner joins the first.
pub type Ring = Vec<[f32; 2]>;

/// One connected region of a mask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Polygon {
    /// Its outline, clockwise as seen on a screen.
    pub outline: Ring,
    /// The outlines of its holes, counter-clockwise.
    pub holes: Vec<Ring>,
}

/// The outlines of a mask: a polygon for each connected region (corners connect), top to bottom.
///
/// `tolerance` is how far, in pixels, an outline may be moved to have fewer corners; at 0 the polygons cover
/// the mask's pixels exactly. A ring that the tolerance would collapse keeps all its corners.
pub fn polygons(bitmap: &Bitmap, tolerance: f32) -> Vec<Polygon> {
    let regions = Regions::of(bitmap);
    let mut polygons = vec![Polygon::default(); regions.sizes.len()];
    let mut tops_left = top_edges(bitmap);
    for y in 0..bitmap.height() {
        for i in 0..bitmap.width().div_ceil(64) {
            // A ring takes out its own edges, those of this word among them.
            loop {
                let word = tops_left.word(64 * i, y);
                if word == 0 {
                    break;
                }
                let x = 64 * i + word.leading_zeros();
                let ring = simplify(trace(bitmap, &mut tops_left, x, y), tolerance);
                let polygon = regions.at(x, y).and_then(|region| polygons.get_mut(region));
                // The first edge of a region, row-major, is on its outline.
                match polygon {
                    Some(polygon) if polygon.outline.is_empty() => polygon.outline = ring,
                    Some(polygon) => polygon.holes.push(ring),
                    None => {}
                }
            }
        }
    }
    polygons
}

/// The mask's pixels with none above them. Every ring has such an edge.
fn top_edges(bitmap: &Bitmap) -> Bitmap {
    let mut tops = Bitmap::new(bitmap.width(), bitmap.height());
    for y in 0..bitmap.height() {
        for (word, i) in bitmap.row(y).zip(0..) {
            let above = match y {
                0 => 0,
                _ => bitmap.word(64 * i, y - 1),
            };
            tops.unite_word(64 * i, y, word & !above);
        }
    }
    tops
}

/// Walks along the cracks from the top left corner of pixel `(x, y)` to the right, the mask on the right
/// hand, and back; notes the corners and takes the pixels whose top edges it passes out of `tops_left`.
fn trace(bitmap: &Bitmap, tops_left: &mut Bitmap, x: u32, y: u32) -> Vec<[u32; 2]> {
    let start = [x, y];
    let (mut at, mut heading) = (start, Heading::Right);
    let mut corners = Vec::new();
    loop {
        if let (Heading::Right, [x, y]) = (heading, at) {
            tops_left.set(x, y, false);
        }
        at = heading.step(at);
        // Corners connect: turn left wherever the pixel there is in the mask.
        let [left, right] = heading.ahead(at);
        let is_set = |[x, y]: [u32; 2]| bitmap.get(x, y);
        let next = match (is_set(left), is_set(right)) {
            (true, _) => heading.left(),
            (false, true) => heading,
            (false, false) => heading.right(),
        };
        if next != heading {
            corners.push(at);
        }
        heading = next;
        if at == start && heading == Heading::Right {
            return corners;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heading {
    Right,
    Down,
    Left,
    Up,
}

impl Heading {
    fn step(self, [x, y]: [u32; 2]) -> [u32; 2] {
        match self {
            Heading::Right => [x + 1, y],
            Heading::Down => [x, y + 1],
            Heading::Left => [x.wrapping_sub(1), y],
            Heading::Up => [x, y.wrapping_sub(1)],
        }
    }

    /// The pixels ahead of a crossing, on the left hand and on the right hand; one past the upper or left
    /// border wraps round, and so is outside the mask, too.
    fn ahead(self, [x, y]: [u32; 2]) -> [[u32; 2]; 2] {
        let (west, north) = (x.wrapping_sub(1), y.wrapping_sub(1));
        match self {
            Heading::Right => [[x, north], [x, y]],
            Heading::Down => [[x, y], [west, y]],
            Heading::Left => [[west, y], [west, north]],
            Heading::Up => [[west, north], [x, north]],
        }
    }

    fn left(self) -> Self {
        match self {
            Heading::Right => Heading::Up,
            Heading::Down => Heading::Right,
            Heading::Left => Heading::Down,
            Heading::Up => Heading::Left,
        }
    }

    fn right(self) -> Self {
        self.left().left().left()
    }
}

/// Douglas and Peucker's line simplification, from the first corner and the one farthest from it.
fn simplify(corners: Vec<[u32; 2]>, tolerance: f32) -> Ring {
    let points: Vec<[f64; 2]> = corners.iter().map(|c| c.map(f64::from)).collect();
    let all = || corners.iter().map(|c| c.map(|place| place as f32)).collect();
    if tolerance.is_nan() || tolerance <= 0.0 || points.len() <= 4 {
        return all();
    }
    let from_first = |point: &[f64; 2]| (point[0] - points[0][0]).hypot(point[1] - points[0][1]);
    let farthest = (0..points.len()).max_by(|&a, &b| from_first(&points[a]).total_cmp(&from_first(&points[b])));
    let farthest = farthest.unwrap_or(0);
    let mut kept = vec![false; points.len()];
    kept[0] = true;
    kept[farthest] = true;
    let mut open = vec![(0, farthest), (farthest, points.len())];
    while let Some((start, end)) = open.pop() {
        let last = points[end % points.len()];
        let mut worst = (f64::from(tolerance), None);
        for i in start + 1..end {
            let off = distance(points[i], points[start], last);
            if off > worst.0 {
                worst = (off, Some(i));
            }
        }
        if let Some(i) = worst.1 {
            kept[i] = true;
            open.extend([(start, i), (i, end)]);
        }
    }
    let ring: Ring = corners
        .iter()
        .zip(&kept)
        .filter_map(|(corner, kept)| kept.then_some(corner.map(|place| place as f32)))
        .collect();
    if ring.len() < 3 { all() } else { ring }
}

/// From a point to the stretch between two others.
fn distance(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let (px, py) = (point[0] - from[0], point[1] - from[1]);
    let length = dx * dx + dy * dy;
    let along = match length > 0.0 {
        true => ((px * dx + py * dy) / length).clamp(0.0, 1.0),
        false => 0.0,
    };
    (px - along * dx).hypot(py - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::any_mask;
    use proptest::prelude::*;

    /// The pixels whose centres lie inside an odd number of rings.
    fn rasterise(polygons: &[Polygon], width: u32, height: u32) -> Bitmap {
        let rings: Vec<&Ring> =
            (polygons.iter()).flat_map(|polygon| polygon.holes.iter().chain([&polygon.outline])).collect();
        Bitmap::from_fn(width, height, |x, y| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let mut inside = false;
            for ring in &rings {
                for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                    let crosses = (a[1] > y) != (b[1] > y);
                    if crosses && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) {
                        inside = !inside;
                    }
                }
            }
            inside
        })
    }

    /// From a point to the stretch between two others, written once more: what is judged does not judge.
    fn away([x, y]: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let square = dx * dx + dy * dy;
        let along = if square == 0.0 { 0.0 } else { ((x - from[0]) * dx + (y - from[1]) * dy) / square };
        let along = along.clamp(0.0, 1.0);
        ((x - from[0] - along * dx).powi(2) + (y - from[1] - along * dy).powi(2)).sqrt()
    }

    /// Positive if clockwise as seen on a screen.
    fn area(ring: &Ring) -> f32 {
        let pairs = ring.iter().zip(ring.iter().cycle().skip(1));
        pairs.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
    }

    #[test]
    fn a_ring_has_a_hole() {
        let mask = Bitmap::from_fn(5, 4, |x, y| (1..4).contains(&x) && y < 3 && (x, y) != (2, 1));
        let found = polygons(&mask, 0.0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].outline, [[4.0, 0.0], [4.0, 3.0], [1.0, 3.0], [1.0, 0.0]]);
        assert_eq!(found[0].holes.len(), 1);
        assert_eq!((area(&found[0].outline), area(&found[0].holes[0])), (9.0, -1.0));
    }

    #[test]
    fn steps_are_smoothed_away() {
        let stairs = Bitmap::from_fn(100, 100, |x, y| x <= y);
        let corners = |tolerance| polygons(&stairs, tolerance)[0].outline.len();
        assert!(corners(0.0) > 190);
        assert!(corners(1.0) <= 5);
        assert!(corners(1e9) > 190 && corners(f32::NAN) > 190);
    }

    /// A bay of two pixels: its corners lie 2 from the line that would close it, and where one stays the others are nearer.
    #[test]
    fn corners_at_the_tolerance_go_and_those_beyond_it_stay() {
        let bay = Bitmap::from_fn(9, 20, |x, y| !((5..15).contains(&y) && x >= 7));
        let corners = |tolerance| polygons(&bay, tolerance)[0].outline.len();
        assert_eq!([0.0, 1.99, 2.0, 2.01].map(corners), [8, 5, 4, 4]);
    }

    #[test]
    fn empty_and_single_pixels() {
        assert_eq!(polygons(&Bitmap::new(3, 3), 1.0), []);
        assert_eq!(polygons(&Bitmap::new(0, 0), 1.0), []);
        let pixel = polygons(&Bitmap::from_fn(1, 1, |_, _| true), 5.0);
        assert_eq!(area(&pixel[0].outline), 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn exact_polygons_hold_the_mask(mask in any_mask()) {
            let found = polygons(&mask, 0.0);
            prop_assert_eq!(&rasterise(&found, mask.width(), mask.height()), &mask);
            let regions = Regions::of(&mask);
            for (polygon, &size) in found.iter().zip(&regions.sizes) {
                prop_assert!(area(&polygon.outline) > 0.0);
                prop_assert!(polygon.holes.iter().all(|hole| area(hole) < 0.0));
                let inside: f32 = polygon.holes.iter().chain([&polygon.outline]).map(area).sum();
                prop_assert_eq!(inside, size as f32);
            }
            prop_assert_eq!(found.len(), regions.sizes.len());
        }

        /// No corner that was left out is farther than the tolerance from the ring that remains.
        #[test]
        fn simplified_rings_stay_near(mask in any_mask(), tolerance in 0.1f32..3.0) {
            let (exact, near) = (polygons(&mask, 0.0), polygons(&mask, tolerance));
            prop_assert_eq!(exact.len(), near.len());
            for (exact, near) in exact.iter().zip(&near) {
                prop_assert_eq!(exact.holes.len(), near.holes.len());
                let rings = |polygon: &Polygon| polygon.holes.iter().chain([&polygon.outline]).cloned().collect::<Vec<_>>();
                for (exact, ring) in rings(exact).iter().zip(rings(near)) {
                    for corner in exact {
                        let off = ring.iter().zip(ring.iter().cycle().skip(1)).map(|(a, b)| {
                            away(corner.map(f64::from), a.map(f64::from), b.map(f64::from))
                        });
                        prop_assert!(off.fold(f64::INFINITY, f64::min) <= f64::from(tolerance) + 1e-9);
                    }
                }
            }
        }
    }
}
