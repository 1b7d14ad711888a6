//! The handles of a mask, and of several masks of one picture: what JavaScript can ask of them.

use std::rc::Rc;

use js_sys::{Array, Float32Array, Object, Promise, Reflect, Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::device::checked;
use super::encoded::Encoded;
use super::js::pixels;
use crate::export::{Ring, Rle, label_spans, polygons};
use crate::segment;

/// One mask.
#[wasm_bindgen]
pub struct Mask {
    mask: segment::Mask,
    encoded: Rc<Encoded>,
}

impl Mask {
    /// Of a picture, which its cut-out and its overlay are made of.
    pub(super) fn new(mask: segment::Mask, encoded: Rc<Encoded>) -> Self {
        Mask { mask, encoded }
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

    /// The smallest box around the mask, `[x, y, width, height]`, original pixels; all zero for an empty mask.
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
        self.mask.runs.width()
    }

    /// Of the picture.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.mask.runs.height()
    }

    /// Low-res logits, row-major; decoded again for a mask that came with others.
    pub fn logits(&self) -> Promise {
        // Nothing of the handle is borrowed: it may be freed meanwhile.
        let (encoded, mask) = (self.encoded.clone(), self.mask.clone());
        future_to_promise(async move {
            let logits = checked(encoded.sam.logits(&encoded.embedding, &mask).await)?;
            Ok(Float32Array::from(&logits[..]).into())
        })
    }

    /// The pixels, eight to a byte, row-major, the most significant bit first, rows not padded.
    pub fn bits(&self) -> Uint8Array {
        Uint8Array::from(self.mask.bitmap().bits())
    }

    /// The pixels, white where the mask is and transparent elsewhere.
    ///
    /// # Errors
    /// `out_of_memory`
    pub fn rgba(&self) -> Result<Uint8ClampedArray, JsValue> {
        let runs = &self.mask.runs;
        let rgba: Uint8ClampedArray = pixels("Uint8ClampedArray", (runs.width(), runs.height()), 4)?;
        runs.spans().for_each(|span| drop(rgba.fill(255, 4 * span.start as u32, 4 * span.end as u32)));
        Ok(rgba)
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

    /// A PNG, of a kind as [`Encoded::png`] has them.
    pub fn png(&self, kind: &str) -> Result<Uint8Array, JsValue> {
        Ok(Uint8Array::from(&self.encoded.png(kind, std::slice::from_ref(&self.mask))?[..]))
    }

    /// The connected parts, each a list of rings of `x, y` pairs in original pixels, first its outline and then its holes,
    /// simplified by `tolerance` pixels.
    pub fn polygons(&self, tolerance: f32) -> Array {
        let ring = |ring: Ring| JsValue::from(Float32Array::from(ring.as_flattened()));
        polygons(&self.mask.bitmap(), tolerance)
            .into_iter()
            .map(|part| std::iter::once(part.outline).chain(part.holes).map(ring).collect::<Array>())
            .collect()
    }
}

/// Several masks of one picture, to be drawn together.
#[wasm_bindgen]
pub struct Layers {
    masks: Vec<segment::Mask>,
    encoded: Rc<Encoded>,
}

impl Layers {
    /// None yet.
    pub(super) fn new(encoded: Rc<Encoded>) -> Self {
        Layers { masks: Vec::new(), encoded }
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
    ///
    /// # Errors
    /// `out_of_memory`; `option_invalid` for more than 65 535 masks.
    pub fn labels(&self) -> Result<Uint16Array, JsValue> {
        let (width, height) = self.encoded.embedding.frame().original;
        let spans = label_spans(width, height, &self.masks)?;
        let labels: Uint16Array = pixels("Uint16Array", (width, height), 1)?;
        spans.for_each(|(span, number)| drop(labels.fill(number, span.start as u32, span.end as u32)));
        Ok(labels)
    }

    /// A PNG, of a kind as [`Encoded::png`] has them.
    pub fn png(&self, kind: &str) -> Result<Uint8Array, JsValue> {
        Ok(Uint8Array::from(&self.encoded.png(kind, &self.masks)?[..]))
    }
}
