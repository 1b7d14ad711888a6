//! COCO's run lengths as text.

use tinysam::export::Rle;

use crate::number;

/// Two sides and a string.
pub fn text(input: &[u8]) {
    let Some((height, rest)) = number(input) else { return };
    let Some((width, rest)) = number(rest) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let size = [height.into(), width.into()];
    let rle = match Rle::from_compressed(size, text) {
        Ok(rle) => rle,
        Err(error) => return assert_eq!(error.code(), "prompt_invalid", "{error}"),
    };
    assert_eq!(Rle::from_compressed(size, &rle.to_compressed()).as_ref(), Ok(&rle));
    match rle.decode() {
        Ok(bitmap) => {
            let area: u32 = rle.counts.iter().skip(1).step_by(2).sum();
            assert_eq!(bitmap.area(), area);
            // Runs of nothing are read and not written.
            let written = Rle::encode(&bitmap);
            assert!(written.counts.iter().skip(1).all(|count| *count > 0));
            assert_eq!(written.decode().as_ref(), Ok(&bitmap));
        }
        Err(error) => {
            assert!(matches!(error.code(), "prompt_invalid" | "image_invalid" | "image_too_large"), "{error}");
        }
    }
}
