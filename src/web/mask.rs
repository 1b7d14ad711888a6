//! The handles of a mask, and of several masks of one picture: what JavaScript can ask of them.

use std::rc::Rc;

use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array, Uint16Array, Uint32Array};
use wasm_bindgen::prelude::*;

use crate::image::Image;
use crate::mask::{Channels, Rle, cutout, encode_label_png, encode_png, label_map, luma, overlay, polygons, rgba};
use crate::{Error, Result, segment};

/// One mask.
#[wasm_bindgen]
pub struct Mask {
    mask: segment::Mask,
    image: Rc<Image>,
}

impl Mask {
    /// Of a picture, which its cut-out and its overlay are made of.
    pub(super) fn new(mask: segment::Mask, image: Rc<Image>) -> Self {
        Mask { mask, image }
    }
}

#[wasm_bindgen]
impl Mask {
    /// Predicted IoU.
    #[wasm_bindgen(getter)]
    pub fn score(&self) -> f32 {
        self.mask.score
    }

    /// Stability score.
    #[wasm_bindgen(getter)]
    pub fn stability(&self) -> f32 {
        self.mask.stability
    }

    /// In original pixels.
    #[wasm_bindgen(getter)]
    pub fn area(&self) -> u32 {
        self.mask.area
    }

    /// `[x, y, width, height]`, original pixels.
    #[wasm_bindgen(getter)]
    pub fn bbox(&self) -> Vec<f64> {
        self.mask.bbox.map(f64::from).into()
    }

    /// The point of the grid that found it, in everything mode: `[x, y]`, original pixels.
    #[wasm_bindgen(getter)]
    pub fn point(&self) -> Option<Vec<f64>> {
        self.mask.point.map(Into::into)
    }

    /// Of the picture.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.mask.frame.original.0
    }

    /// Of the picture.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.mask.frame.original.1
    }

    /// Low-res logits, row-major.
    pub fn logits(&self) -> Float32Array {
        Float32Array::from(&self.mask.logits[..])
    }

    /// The pixels, eight to a byte, row-major, the most significant bit first, rows not padded.
    pub fn bits(&self) -> Uint8Array {
        Uint8Array::from(self.mask.bitmap().bits())
    }

    /// The pixels, white where the mask is and transparent elsewhere.
    pub fn rgba(&self) -> js_sys::Uint8ClampedArray {
        js_sys::Uint8ClampedArray::from(&rgba(&self.mask.bitmap())[..])
    }

    /// COCO's compressed run-length encoding, `{ size: [height, width], counts }`.
    pub fn rle(&self) -> Result<JsValue, JsValue> {
        let rle = Rle::encode(&self.mask.bitmap());
        let object = Object::new();
        Reflect::set(&object, &"size".into(), &rle.size.map(JsValue::from).into_iter().collect::<Array>())?;
        Reflect::set(&object, &"counts".into(), &rle.to_compressed().into())?;
        Ok(object.into())
    }

    /// COCO's uncompressed run lengths, column-major, background first.
    pub fn counts(&self) -> Uint32Array {
        Uint32Array::from(&Rle::encode(&self.mask.bitmap()).counts[..])
    }

    /// A PNG: `mask` (white on black), `cutout` (the picture, transparent outside) or `overlay` (the picture, coloured
    /// inside).
    pub fn png(&self, kind: &str) -> Result<Uint8Array, JsValue> {
        let bitmap = self.mask.bitmap();
        let (channels, pixels) = match kind {
            "mask" => (Channels::Luma, luma(&bitmap)),
            "cutout" => (Channels::Rgba, cutout(&self.image, &bitmap)?),
            "overlay" => (Channels::Rgb, overlay(&self.image, &[&self.mask])?),
            _ => {
                return Err(
                    Error::OptionInvalid(format!("picture {kind:?}; it must be mask, cutout or overlay")).into()
                );
            }
        };
        Ok(Uint8Array::from(&encode_png(self.width(), self.height(), channels, &pixels)?[..]))
    }

    /// Outlines and holes, each a ring of `x, y` pairs in original pixels, simplified by `tolerance` pixels.
    pub fn polygons(&self, tolerance: f32) -> Vec<Float32Array> {
        polygons(&self.mask.bitmap(), tolerance)
            .into_iter()
            .flat_map(|polygon| std::iter::once(polygon.outline).chain(polygon.holes))
            .map(|ring| Float32Array::from(ring.as_flattened()))
            .collect()
    }
}

/// Several masks of one picture, to be drawn together.
#[wasm_bindgen]
pub struct Layers {
    masks: Vec<segment::Mask>,
    image: Rc<Image>,
}

impl Layers {
    /// None yet.
    pub(super) fn new(image: Rc<Image>) -> Self {
        Layers { masks: Vec::new(), image }
    }

    fn label_map(&self) -> Result<Vec<u16>> {
        label_map(self.image.width(), self.image.height(), &self.masks)
    }
}

#[wasm_bindgen]
impl Layers {
    /// One more mask, of the same picture.
    pub fn add(&mut self, mask: &Mask) {
        self.masks.push(mask.mask.clone());
    }

    /// For each pixel the number of its mask, from 1 in the order in which they were added, or 0; the smallest where
    /// several overlap. Row-major.
    pub fn labels(&self) -> Result<Uint16Array, JsValue> {
        Ok(Uint16Array::from(&self.label_map()?[..]))
    }

    /// A PNG: `overlay` (the picture with every mask in a colour of its own, larger ones below) or `labels` (the label
    /// map, grey, sixteen bits a pixel).
    pub fn png(&self, kind: &str) -> Result<Uint8Array, JsValue> {
        let (width, height) = (self.image.width(), self.image.height());
        let file = match kind {
            "overlay" => encode_png(width, height, Channels::Rgb, &overlay(&self.image, &self.masks)?)?,
            "labels" => encode_label_png(width, height, &self.label_map()?)?,
            _ => return Err(Error::OptionInvalid(format!("picture {kind:?}; it must be overlay or labels")).into()),
        };
        Ok(Uint8Array::from(&file[..]))
    }
}
