//! A prompt as a person gives it, checked, and brought to model pixels.

use crate::image::Frame;
use crate::model;
use crate::{Error, Result};

/// Points, a box, or both, and with them a mask, which together say what one object is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// `[x, y]`, original pixels.
    pub points: Vec<[f32; 2]>,
    /// For each point, 1 if it is in the foreground and 0 if it is not; empty if all are.
    pub labels: Vec<u8>,
    /// `[x, y, width, height]`, original pixels.
    pub bbox: Option<[f32; 4]>,
    /// Low-res logits of an earlier answer on the same picture, `[S/4, S/4]`.
    pub mask: Option<Vec<f32>>,
}

/// Points of one prompt. What a person marks is a few; the work and its memory grow with each, to a gigabyte for
/// thousands.
const POINTS: usize = 1000;

impl Prompt {
    /// One foreground point.
    pub fn point(x: f32, y: f32) -> Self {
        Prompt { points: vec![[x, y]], ..Default::default() }
    }

    /// One box, `[x, y, width, height]`.
    pub fn bbox(bbox: [f32; 4]) -> Self {
        Prompt { bbox: Some(bbox), ..Default::default() }
    }

    /// The prompt in model pixels. Boxes are clipped to what the network saw of the picture.
    ///
    /// # Errors
    /// `prompt_invalid` if there is neither a point nor a box, if there are over a thousand points, if labels and points
    /// differ in number, if a number is not finite, if a point lies outside of that or a box touches none of it, or if the
    /// mask is not as large as this picture's low-res logits.
    pub(crate) fn resolve(&self, frame: &Frame) -> Result<model::Prompt> {
        let invalid = |text: String| Err(Error::PromptInvalid(text));
        let [left, top, width, height] = frame.crop.map(|length| length as f32);
        let seen = match (frame.crop, frame.original) {
            ([0, 0, w, h], original) if (w, h) == original => format!("picture of {w}×{h}"),
            (crop, (w, h)) => format!("crop {crop:?} of the picture of {w}×{h}"),
        };
        if self.points.is_empty() && self.bbox.is_none() {
            let advice =
                if self.mask.is_some() { ": a mask says nothing without one, add one inside the object" } else { "" };
            return invalid(format!("it has neither a point nor a box{advice}"));
        }
        if self.points.len() > POINTS {
            return invalid(format!("{} points; at most {POINTS} together say what one object is", self.points.len()));
        }
        if !self.labels.is_empty() && self.labels.len() != self.points.len() {
            return invalid(format!("{} labels for {} points", self.labels.len(), self.points.len()));
        }
        if let Some(label) = self.labels.iter().find(|label| **label > 1) {
            return invalid(format!("label {label}; labels are 1 (foreground) and 0 (background)"));
        }
        let mut points = Vec::with_capacity(self.points.len());
        for (i, [x, y]) in self.points.iter().enumerate() {
            // Written so that a NaN is outside.
            if !(left..=left + width).contains(x) || !(top..=top + height).contains(y) {
                return invalid(format!("point ({x}, {y}) is not in the {seen}"));
            }
            points.push((frame.to_model(*x, *y), self.labels.get(i) != Some(&0)));
        }
        let corners = match self.bbox {
            None => None,
            Some([x, y, w, h]) => {
                let (x0, y0) = (x.max(left), y.max(top));
                let (x1, y1) = ((x + w).min(left + width), (y + h).min(top + height));
                let finite = [x, y, w, h].iter().all(|v| v.is_finite());
                if !finite || x1 <= x0 || y1 <= y0 {
                    return invalid(format!("box [x {x}, y {y}, width {w}, height {h}] covers nothing of the {seen}"));
                }
                let ((x0, y0), (x1, y1)) = (frame.to_model(x0, y0), frame.to_model(x1, y1));
                Some([x0, y0, x1, y1])
            }
        };
        if let Some(mask) = &self.mask {
            let side = frame.low_res_side() as usize;
            if mask.len() != side * side {
                return invalid(format!("its mask has {} logits, this picture's have {side}×{side}", mask.len()));
            }
            if mask.iter().any(|v| !v.is_finite()) {
                return invalid("its mask holds a logit that is no number".into());
            }
        }
        Ok(model::Prompt { points, corners })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(prompt: Prompt) -> Result<model::Prompt> {
        prompt.resolve(&Frame::new(640, 480, 256).unwrap())
    }

    fn code(prompt: Prompt) -> &'static str {
        resolve(prompt).unwrap_err().code()
    }

    #[test]
    fn boxes_are_clipped_and_scaled() {
        let prompt = resolve(Prompt::bbox([-10.0, 240.0, 330.0, 1000.0])).unwrap();
        assert_eq!(prompt.corners, Some([0.0, 96.0, 128.0, 192.0]));
    }

    #[test]
    fn points_are_foreground_unless_said_otherwise() {
        let prompt = Prompt { points: vec![[640.0, 480.0], [0.0, 0.0]], labels: vec![1, 0], ..Default::default() };
        let expected = vec![((256.0, 192.0), true), ((0.0, 0.0), false)];
        assert_eq!(resolve(prompt).unwrap().points, expected);
        assert!(resolve(Prompt::point(1.0, 1.0)).unwrap().points[0].1);
    }

    #[test]
    fn a_part_is_prompted_in_the_photos_pixels() {
        let frame = Frame::of_crop(640, 480, [100, 50, 256, 128], 256).unwrap();
        let resolve = |prompt: Prompt| prompt.resolve(&frame);
        assert_eq!(resolve(Prompt::point(110.0, 60.0)).unwrap().points[0].0, (10.0, 10.0));
        assert_eq!(resolve(Prompt::bbox([0.0, 0.0, 640.0, 480.0])).unwrap().corners, Some([0.0, 0.0, 256.0, 128.0]));
        let outside = resolve(Prompt::point(99.0, 60.0)).unwrap_err();
        assert!(outside.to_string().contains("crop [100, 50, 256, 128] of the picture of 640×480"), "{outside}");
        assert_eq!(resolve(Prompt::bbox([400.0, 60.0, 10.0, 10.0])).unwrap_err().code(), "prompt_invalid");
    }

    /// A mask's own box is a prompt, down to a pixel in a corner.
    #[test]
    fn boxes_of_one_pixel_are_prompts() {
        for (width, height) in [(1, 1), (16_384, 1), (1, 16_384), (640, 480), (10_000, 10_000)] {
            let frame = Frame::new(width, height, 64).unwrap();
            for (x, y) in [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)] {
                let [x0, y0, x1, y1] =
                    Prompt::bbox([x as f32, y as f32, 1.0, 1.0]).resolve(&frame).unwrap().corners.unwrap();
                assert!(x0 < x1 && y0 < y1, "({x}, {y}) of {width}×{height}");
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let point = Prompt::point(1.0, 1.0);
        assert_eq!(code(Prompt::default()), "prompt_invalid");
        assert_eq!(code(Prompt { labels: vec![1, 1], ..point.clone() }), "prompt_invalid");
        assert_eq!(code(Prompt { labels: vec![2], ..point.clone() }), "prompt_invalid");
        assert_eq!(code(Prompt { points: vec![[1.0, 1.0]; 1001], ..point.clone() }), "prompt_invalid");
        assert!(resolve(Prompt { points: vec![[1.0, 1.0]; 1000], ..point.clone() }).is_ok());
        assert_eq!(code(Prompt::point(f32::NAN, 1.0)), "prompt_invalid");
        assert_eq!(code(Prompt::point(640.5, 1.0)), "prompt_invalid");
        assert_eq!(code(Prompt::bbox([0.0, 0.0, 0.0, 5.0])), "prompt_invalid");
        assert_eq!(code(Prompt::bbox([f32::NAN, 0.0, 5.0, 5.0])), "prompt_invalid");
        assert_eq!(code(Prompt::bbox([0.0, 0.0, f32::INFINITY, 5.0])), "prompt_invalid");
        assert_eq!(code(Prompt { mask: Some(vec![0.0; 5]), ..point.clone() }), "prompt_invalid");
        assert_eq!(code(Prompt { mask: Some(vec![f32::NAN; 64 * 64]), ..point }), "prompt_invalid");
    }
}
