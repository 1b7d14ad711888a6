//! What the first bytes of a picture's file tell, before or without decoding.

/// How much of a file is looked at, one after the other: a JPEG may have a long preview and colour profile first.
pub const LENGTHS: [u32; 3] = [64 << 10, 1 << 20, 16 << 20];

/// The size may come later in the file.
pub struct Truncated;

/// Width and height as the header has them (before orientation). None where the format is not known or the
/// header makes no sense: then the browser's decoder has the word.
///
/// # Errors
/// [`Truncated`]
pub fn size(header: &[u8]) -> Result<Option<(u32, u32)>, Truncated> {
    let (width, height) = match bmp_size(header) {
        Some(size) => size,
        None => match imagesize::blob_size(header) {
            // The two upper bits of a lossy WebP's sides say how large it is to be shown.
            Ok(size) if header.get(12..16) == Some(b"VP8 ") => {
                ((size.width & 0x3fff) as u32, (size.height & 0x3fff) as u32)
            }
            Ok(size) => (size.width as u32, size.height as u32),
            Err(imagesize::ImageError::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(Truncated);
            }
            Err(_) => return Ok(None),
        },
    };
    // A JPEG may state its height after the pixels, as 0 before.
    Ok((width > 0 && height > 0).then_some((width, height)))
}

/// Windows bitmaps are not left to `imagesize`: it takes the negative height of those stored from top to
/// bottom for an enormous one.
fn bmp_size(header: &[u8]) -> Option<(u32, u32)> {
    let field = |at| Some(i32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let is_bmp = header.starts_with(b"BM") && field(14)? >= 40;
    is_bmp.then_some((field(18)?.unsigned_abs(), field(22)?.unsigned_abs()))
}

/// Why a browser may have refused a file that begins so, and what to do: the end of a sentence on it.
pub fn why_unreadable(header: &[u8]) -> String {
    let known = |name: &str| format!("it is a {name}, but damaged or cut off: get the file again");
    let unknown =
        |name: &str| format!("it is {name}, which this browser does not read, or damaged: convert it to JPEG or PNG");
    match header {
        [0xff, 0xd8, 0xff, ..] => known("JPEG"),
        [0x89, b'P', b'N', b'G', ..] => known("PNG"),
        [b'G', b'I', b'F', b'8', ..] => known("GIF"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => known("WebP"),
        [b'B', b'M', ..] => known("Windows bitmap"),
        [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] => match &brands[..brands.len().min(24)] {
            brands if has(brands, b"avi") => unknown("an AVIF of a kind"),
            brands if has(brands, b"hei") || has(brands, b"mif") => unknown("HEIC"),
            _ => A_VIDEO.into(),
        },
        [0x1a, 0x45, 0xdf, 0xa3, ..] => A_VIDEO.into(),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => unknown("TIFF, or a camera's raw file"),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => unknown("JPEG XL"),
        [0, 0, 0, 12, b'j', b'P', ..] => unknown("JPEG 2000"),
        [b'8', b'B', b'P', b'S', ..] => unknown("a Photoshop document"),
        [b'%', b'P', b'D', b'F', ..] => unknown("a PDF document"),
        _ => of_text(header),
    }
}

fn has(brands: &[u8], start: &[u8; 3]) -> bool {
    brands.chunks(4).any(|brand| brand.starts_with(start))
}

const A_VIDEO: &str = "it is a video: give a <video> that shows it, or one of its frames";

fn of_text(header: &[u8]) -> String {
    let start = String::from_utf8_lossy(&header[..header.len().min(1024)]).to_ascii_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if start.starts_with('<') && start.contains("<svg") {
        return "it is an SVG drawing, which has no pixels of its own: give an <img> that shows it".into();
    }
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return "it is a web page: check the address".into();
    }
    "it is no picture of a known format; JPEG, PNG and WebP are known by all browsers".into()
}
