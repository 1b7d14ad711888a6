//! Connected regions of a mask, and the removal of small ones.
//!
//! Mirrors `remove_small_regions` of the reference (tinysam/utils/amg.py); there, as here, pixels that touch
//! at a corner are connected.

use super::Bitmap;
use std::ops::Range;

/// Fills every hole of less than `area` pixels: regions outside the mask, those at the border too. Says
/// whether there were any.
pub fn fill_small_holes(bitmap: &mut Bitmap, area: u32) -> bool {
    let mut outside = bitmap.clone();
    outside.invert();
    let holes = Regions::of(&outside);
    for (run, region) in &holes.runs {
        if holes.sizes[*region] < area {
            bitmap.set_run(run.y, run.xs.clone(), true);
        }
    }
    holes.sizes.iter().any(|&size| size < area)
}

/// Takes out every region of less than `area` pixels; if all are smaller, the largest stays (of equal ones
/// the first from the top). Says whether there were any, even if that one stayed, as the reference does.
pub fn remove_small_islands(bitmap: &mut Bitmap, area: u32) -> bool {
    let islands = Regions::of(bitmap);
    let largest = islands.sizes.iter().copied().max().unwrap_or(0);
    let keeper = match largest < area {
        true => islands.sizes.iter().position(|&size| size == largest),
        false => None,
    };
    for (run, region) in &islands.runs {
        if islands.sizes[*region] < area && Some(*region) != keeper {
            bitmap.set_run(run.y, run.xs.clone(), false);
        }
    }
    islands.sizes.iter().any(|&size| size < area)
}

/// Pixels side by side in a row.
pub(crate) struct Run {
    y: u32,
    xs: Range<u32>,
}

/// The connected regions of a mask, numbered in the order of their first pixels, row-major.
pub(crate) struct Regions {
    /// All runs of the mask, row-major, each with its region.
    runs: Vec<(Run, usize)>,
    /// Pixels of each region.
    pub(crate) sizes: Vec<u32>,
}

impl Regions {
    pub(crate) fn of(bitmap: &Bitmap) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        // For each run an earlier run of its region, or itself.
        let mut parents: Vec<usize> = Vec::new();
        let mut above = 0..0;
        for y in 0..bitmap.height() {
            let row_start = runs.len();
            let mut candidate = above.start;
            for xs in bitmap.runs(y) {
                let this = runs.len();
                parents.push(this);
                // Runs above that end before this one ends before the next ones, too.
                while candidate < above.end && runs[candidate].xs.end < xs.start {
                    candidate += 1;
                }
                let mut touching = candidate;
                while touching < above.end && runs[touching].xs.start <= xs.end {
                    unite(&mut parents, touching, this);
                    touching += 1;
                }
                runs.push(Run { y, xs });
            }
            above = row_start..runs.len();
        }
        let mut sizes = Vec::new();
        let mut regions = vec![0; runs.len()];
        for i in 0..runs.len() {
            let root = root(&mut parents, i);
            if root == i {
                regions[i] = sizes.len();
                sizes.push(0);
            } else {
                regions[i] = regions[root];
            }
            sizes[regions[i]] += runs[i].xs.len() as u32;
        }
        Self { runs: runs.into_iter().zip(regions).collect(), sizes }
    }

    /// The region of a pixel of the mask.
    pub(crate) fn at(&self, x: u32, y: u32) -> Option<usize> {
        let after = self.runs.partition_point(|(run, _)| (run.y, run.xs.start) <= (y, x));
        let (run, region) = self.runs.get(after.checked_sub(1)?)?;
        (run.y == y && run.xs.contains(&x)).then_some(*region)
    }
}

fn root(parents: &mut [usize], mut run: usize) -> usize {
    while parents[run] != run {
        parents[run] = parents[parents[run]];
        run = parents[run];
    }
    run
}

/// The earlier root stays: regions are numbered by their first run.
fn unite(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::tests::any_mask;
    use super::*;
    use proptest::prelude::*;

    /// A mask drawn with `#`.
    fn drawn(rows: &[&str]) -> Bitmap {
        let (width, height) = (rows[0].len() as u32, rows.len() as u32);
        Bitmap::from_fn(width, height, |x, y| rows[y as usize].as_bytes()[x as usize] == b'#')
    }

    #[test]
    fn corners_connect() {
        let mut mask = drawn(&["#...", ".#..", "...#"]);
        assert!(remove_small_islands(&mut mask, 2));
        assert_eq!(mask, drawn(&["#...", ".#..", "...."]));
        assert!(!remove_small_islands(&mut mask, 2));
    }

    #[test]
    fn the_largest_island_stays() {
        let mut mask = drawn(&["##..#", "....#", "#...#"]);
        assert!(remove_small_islands(&mut mask, 100));
        assert_eq!(mask, drawn(&["....#", "....#", "....#"]));
        assert!(remove_small_islands(&mut mask, 100));
        let mut equal = drawn(&["#.#"]);
        remove_small_islands(&mut equal, 2);
        assert_eq!(equal, drawn(&["#.."]));
    }

    #[test]
    fn holes_are_filled_and_bays_at_the_border_too() {
        let mut mask = drawn(&["####.", "#.##.", "####.", "##...", "#.###"]);
        assert!(fill_small_holes(&mut mask, 6));
        // The bay on the right has six pixels and a corner that connects it to a seventh.
        assert_eq!(mask, drawn(&["####.", "####.", "####.", "##...", "#.###"]));
        assert!(fill_small_holes(&mut mask, 8));
        assert_eq!(mask.area(), 25);
        assert!(!fill_small_holes(&mut mask, 8));
    }

    #[test]
    fn empty_and_single_pixels() {
        let mut empty = Bitmap::new(3, 3);
        assert!(!remove_small_islands(&mut empty, 10));
        let mut pixel = Bitmap::from_fn(1, 1, |_, _| true);
        assert!(remove_small_islands(&mut pixel, 10) && pixel.get(0, 0));
        assert!(!fill_small_holes(&mut pixel, 10));
    }

    proptest! {
        /// Against a flood fill.
        #[test]
        fn regions_are_those_of_a_flood(mask in any_mask()) {
            let regions = Regions::of(&mask);
            let mut left = mask.clone();
            let mut found = 0;
            for (x, y) in (0..mask.height()).flat_map(|y| (0..mask.width()).map(move |x| (x, y))) {
                if !left.get(x, y) {
                    continue;
                }
                let mut size = 0;
                let mut open = vec![(x, y)];
                left.set(x, y, false);
                while let Some((x, y)) = open.pop() {
                    size += 1;
                    prop_assert_eq!(regions.at(x, y), Some(found));
                    for (x, y) in (y.saturating_sub(1)..=y + 1)
                        .flat_map(|y| (x.saturating_sub(1)..=x + 1).map(move |x| (x, y)))
                    {
                        if left.get(x, y) {
                            left.set(x, y, false);
                            open.push((x, y));
                        }
                    }
                }
                prop_assert_eq!(regions.sizes[found], size);
                found += 1;
            }
            prop_assert_eq!(regions.sizes.len(), found);
        }
    }
}
