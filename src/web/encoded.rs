//! What the handles of a picture share.

use super::photo::JsPhoto;
use crate::export::{cutout_png, label_png, mask_png, overlay_png};
use crate::mask::Runs;
use crate::segment::{Embedding, Mask, Sam};
use crate::{Error, Result};

/// A picture, its embedding, and the model that made it. It lives as long as a handle of the picture or of one of its
/// masks, whose logits are decoded again where they were not kept.
pub struct Encoded {
    pub sam: Sam,
    pub embedding: Embedding,
    /// What cut-outs and overlays show; none for an embedding that was restored without it.
    pub photo: Option<JsPhoto>,
}

impl Encoded {
    /// A PNG of masks: `mask` (white on black), `cutout` (the picture, transparent outside), `overlay` (the picture with
    /// every mask in a colour of its own, larger ones below) or `labels` (the label map, grey, sixteen bits a pixel).
    ///
    /// # Errors
    /// `option_invalid` for another kind, and for one that shows the picture where that is not here.
    pub fn png(&self, kind: &str, masks: &[Mask]) -> Result<Vec<u8>> {
        let (width, height) = self.embedding.frame().original;
        let photo = || {
            self.photo.as_ref().ok_or_else(|| {
                let text = format!("picture {kind:?} shows the photo, which was not restored: give `photo` to restore");
                Error::OptionInvalid(text)
            })
        };
        let all = || Runs::union(width, height, masks);
        match kind {
            "mask" => mask_png(&all()),
            "cutout" => cutout_png(photo()?, &all()),
            "overlay" => overlay_png(photo()?, masks),
            "labels" => label_png(width, height, masks),
            _ => Err(Error::OptionInvalid(format!("picture {kind:?}; it must be mask, cutout, overlay or labels"))),
        }
    }
}
