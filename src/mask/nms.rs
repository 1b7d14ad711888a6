//! Non-maximum suppression of boxes.

/// The boxes that remain, best score first: each takes out those after it that overlap it with an IoU over
/// `threshold`. Class-agnostic, as torchvision's `nms`: scores are ordered stably, a missing number first.
///
/// `boxes` are `[x, y, width, height]`, as [`super::Bitmap::bbox`] gives them. They are compared as the reference has
/// them (`batched_mask_to_box`, tinysam/utils/amg.py): a box ends at the last pixel's *first* edge, one pixel short in
/// both directions, so that a box one pixel wide or high has no area. Boxes without area overlap nothing.
pub fn nms(boxes: &[[u32; 4]], scores: &[f32], threshold: f64) -> Vec<usize> {
    let mut left: Vec<usize> = (0..boxes.len().min(scores.len())).collect();
    left.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut kept = Vec::new();
    while let Some(&best) = left.first() {
        kept.push(best);
        // A missing IoU, that of boxes without area, is not over the threshold.
        let overlaps = |other: usize| f64::from(iou(boxes[best], boxes[other])) > threshold;
        left.retain(|&other| other != best && !overlaps(other));
    }
    kept
}

/// Intersection over union, in f32 and in torchvision's order.
fn iou(a: [u32; 4], b: [u32; 4]) -> f32 {
    let [a, b] = [a, b].map(|[x, y, width, height]| {
        let last = |first: u32, length: u32| first.saturating_add(length.saturating_sub(1));
        [x, y, last(x, width), last(y, height)].map(|place| place as f32)
    });
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left) * (bottom - top);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = width * height;
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overlapping_boxes_leave_the_best() {
        let boxes = [[0, 0, 11, 11], [0, 0, 11, 10], [20, 0, 11, 11], [0, 0, 11, 11]];
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1, 0.5], 0.7), [1, 2]);
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1, 0.5], 0.95), [1, 0, 2]);
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1, 0.5], 1.0), [1, 0, 3, 2]);
    }

    #[test]
    fn an_overlap_that_f32_rounds_up_is_over_its_own_decimals() {
        let boxes = [[0, 0, 5, 2], [1, 0, 5, 2]]; // of 4 squares each, 3 in both: 3/5, as f32 a little more
        assert_eq!(nms(&boxes, &[0.9, 0.5], 0.6), [0]);
        assert_eq!(nms(&boxes, &[0.9, 0.5], f64::from(0.6f32)), [0, 1]);
    }

    #[test]
    fn boxes_without_area_stay() {
        assert_eq!(nms(&[[3, 3, 1, 1], [3, 3, 1, 1]], &[0.1, 0.2], 0.0), [1, 0]);
        assert_eq!(nms(&[[3, 3, 9, 1], [3, 3, 9, 1]], &[0.1, 0.2], 0.0), [1, 0]);
        assert_eq!(nms(&[[0, 0, 0, 0], [0, 0, 0, 0]], &[0.1, 0.2], 0.0), [1, 0]);
        assert_eq!(nms(&[], &[], 0.7), [0usize; 0]);
    }

    proptest! {
        /// A box remains exactly if no better one that remains overlaps it too much.
        #[test]
        fn equals_brute_force(
            found in prop::collection::vec((0u32..20, 0u32..20, 0u32..20, 0u32..20, 0u8..6), 0..40),
            threshold in 0f64..1.0,
        ) {
            let boxes: Vec<_> = found.iter().map(|&(x, y, w, h, _)| [x, y, w, h]).collect();
            let scores: Vec<_> = found.iter().map(|f| f32::from(f.4) / 5.0).collect();
            // Exact overlap of the reference's boxes by counting unit squares.
            let too_much = |a: usize, b: usize| {
                let covers = |i: usize, x: u32, y: u32| {
                    let [left, top, w, h] = boxes[i];
                    (left + 1..left + w).contains(&(x + 1)) && (top + 1..top + h).contains(&(y + 1))
                };
                let (mut both, mut either) = (0, 0);
                for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (x, y))) {
                    both += u32::from(covers(a, x, y) && covers(b, x, y));
                    either += u32::from(covers(a, x, y) || covers(b, x, y));
                }
                either > 0 && f64::from(both as f32 / either as f32) > threshold
            };
            let mut order: Vec<usize> = (0..boxes.len()).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(found[i].4), i));
            let mut kept: Vec<usize> = Vec::new();
            for i in order {
                if kept.iter().all(|&better| !too_much(better, i)) {
                    kept.push(i);
                }
            }
            prop_assert_eq!(nms(&boxes, &scores, threshold), kept);
        }
    }
}
