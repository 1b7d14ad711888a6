//! Pictures from whatever a page has them in. The browser decodes: it knows the formats, orientations and
//! colour profiles.

use js_sys::{Object, Promise, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, HtmlImageElement, ImageBitmap, ImageBitmapOptions, ImageOrientation, OffscreenCanvas,
    OffscreenCanvasRenderingContext2d, PremultiplyAlpha,
};

use super::error::{is_abort, text};
use super::fetch;
use super::js::{length, property, tag};
use super::signal::Signal;
use crate::image::{Image, check_size};
use crate::{Error, Result};

/// Pixels that pass from the browser to wasm at a time: a picture of 100 megapixels never has a whole canvas
/// (some browsers refuse such), nor a whole RGBA copy, beside it.
const BAND: u32 = 2_000_000;
/// How much of a file is looked at for its size, one after the other: a JPEG may have a long preview and
/// colour profile first.
const HEADERS: [u32; 3] = [64 << 10, 1 << 20, 16 << 20];
/// `HTMLMediaElement.HAVE_CURRENT_DATA`: there is a frame.
const HAVE_CURRENT_DATA: u32 = 2;

/// The pixels of a `Blob` or `File`, a URL (http, data, blob), an `ImageBitmap`, `ImageData` (or anything
/// with its `width`, `height` and `data`), a canvas, an `<img>`, a `<video>` or a `VideoFrame`. Nothing that
/// was passed in is closed or changed.
///
/// Upright (EXIF orientation applied), in sRGB, alpha laid over white. Of an animation, the first frame; of
/// a `<video>`, the one it shows.
///
/// # Errors
/// [`Error::ImageTooLarge`] (for files: from the header, before anything is decoded where the format is
/// GIF, PNG, JPEG, WebP, AVIF or BMP), [`Error::ImageInvalid`], [`Error::ImageUnreachable`] (network, CORS),
/// [`Error::OutOfMemory`], [`Error::Aborted`].
pub async fn pixels(source: JsValue, signal: &Signal) -> Result<Image> {
    signal.check()?;
    if let Some(url) = source.as_string() {
        return decode(&fetch::picture(&url, signal).await?, signal).await;
    }
    if let Some(data) = plain_data(&source) {
        return copy(&source, &data, signal).await;
    }
    match tag(&source).as_str() {
        "Blob" | "File" => decode(source.unchecked_ref(), signal).await,
        "ImageBitmap" => draw(source.unchecked_ref(), signal).await,
        "ImageData" | "OffscreenCanvas" | "HTMLCanvasElement" => snapshot(&source, "width", "height", signal).await,
        "VideoFrame" => snapshot(&source, "displayWidth", "displayHeight", signal).await,
        "HTMLImageElement" => {
            let image: &HtmlImageElement = source.unchecked_ref();
            if !image.complete() {
                let loaded = signal.race(JsFuture::from(image.decode())).await?;
                loaded.map_err(|exception| invalid("the <img> did not load", &exception))?;
            }
            snapshot(&source, "naturalWidth", "naturalHeight", signal).await
        }
        "HTMLVideoElement" => {
            if length(&source, "readyState").is_none_or(|state| state < HAVE_CURRENT_DATA) {
                return Err(Error::ImageInvalid(
                    "the <video> has no frame yet: wait for its \"loadeddata\" event".into(),
                ));
            }
            snapshot(&source, "videoWidth", "videoHeight", signal).await
        }
        other => Err(Error::ImageInvalid(format!(
            "{} is no picture: pass a File, Blob, URL, ImageBitmap, ImageData, canvas, <img>, <video> or \
             VideoFrame",
            if other.is_empty() { "this value" } else { other }
        ))),
    }
}

/// An encoded picture.
async fn decode(file: &Blob, signal: &Signal) -> Result<Image> {
    if file.size() == 0.0 {
        return Err(Error::ImageInvalid("the file is empty".into()));
    }
    if file.size() > fetch::MAX_PICTURE as f64 {
        return Err(fetch::picture_too_long());
    }
    if let Some((width, height)) = encoded_size(file, signal).await? {
        check_size(width, height)?;
    }
    draw(&bitmap(file, signal).await?.0, signal).await
}

/// Width and height as the header has them (before orientation). None where the format is not known or the
/// header makes no sense: then the browser's decoder has the word.
async fn encoded_size(file: &Blob, signal: &Signal) -> Result<Option<(u32, u32)>> {
    for length in HEADERS {
        let unread = |exception: JsValue| match is_abort(&exception) {
            true => Error::Aborted,
            false => Error::ImageUnreachable(format!(
                "the file cannot be read ({}): was it moved or changed? Choose it again",
                text(&exception)
            )),
        };
        let slice = file.slice_with_f64_and_f64(0.0, f64::from(length)).map_err(unread)?;
        let header = signal.race(JsFuture::from(slice.array_buffer())).await?.map_err(unread)?;
        let header = Uint8Array::new(&header).to_vec();
        match header_size(&header) {
            Err(Truncated) if f64::from(length) < file.size() => continue,
            size => return Ok(size.ok().flatten()),
        }
    }
    Ok(None)
}

/// The size may come later in the file.
struct Truncated;

fn header_size(header: &[u8]) -> std::result::Result<Option<(u32, u32)>, Truncated> {
    let (width, height) = match bmp_size(header) {
        Some(size) => size,
        None => match imagesize::blob_size(header) {
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

/// What an element, canvas or frame shows now; `width` and `height` are the names of its properties.
async fn snapshot(source: &JsValue, width: &str, height: &str, signal: &Signal) -> Result<Image> {
    let side = |key| length(source, key).unwrap_or(0);
    check_size(side(width), side(height))?;
    draw(&bitmap(source, signal).await?.0, signal).await
}

#[wasm_bindgen]
extern "C" {
    /// The scope's own, a window's as well as a worker's.
    #[wasm_bindgen(catch, js_name = createImageBitmap)]
    fn create_image_bitmap(source: &JsValue, options: &ImageBitmapOptions) -> std::result::Result<Promise, JsValue>;
}

/// A bitmap of our own, whose pixels are given back at once and not at the next garbage collection.
struct Bitmap(ImageBitmap);

impl Drop for Bitmap {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn bitmap(source: &JsValue, signal: &Signal) -> Result<Bitmap> {
    let options = ImageBitmapOptions::new();
    options.set_image_orientation(ImageOrientation::FromImage);
    options.set_premultiply_alpha(PremultiplyAlpha::None);
    let made = match create_image_bitmap(source, &options) {
        Ok(promise) => signal.race(JsFuture::from(promise)).await?,
        Err(exception) => Err(exception),
    };
    made.map(|bitmap| Bitmap(bitmap.unchecked_into()))
        .map_err(|exception| invalid("the browser cannot decode it; JPEG, PNG and WebP are known by all", &exception))
}

/// A bitmap's pixels, by way of a canvas as high as a band.
async fn draw(bitmap: &ImageBitmap, signal: &Signal) -> Result<Image> {
    let (width, height) = (bitmap.width(), bitmap.height());
    if width == 0 || height == 0 {
        return Err(Error::ImageInvalid("the bitmap was closed or transferred: pass one that is open".into()));
    }
    let mut rows = Rows::new(width, height)?;
    let context = canvas(width, rows.in_band(0)).map_err(|exception| invalid("no canvas", &exception))?;
    while let Some((top, count)) = rows.next_band() {
        let (left, top) = (0.0, f64::from(top));
        let (across, down) = (f64::from(width), f64::from(count));
        let band = context
            .draw_image_with_image_bitmap_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
                bitmap, left, top, across, down, 0.0, 0.0, across, down,
            )
            .and_then(|()| context.get_image_data(0.0, 0.0, across, down))
            .map_err(|exception| invalid("its pixels cannot be read", &exception))?;
        rows.push(&band.data())?;
        signal.pause().await?;
    }
    rows.finish()
}

fn canvas(width: u32, height: u32) -> std::result::Result<OffscreenCanvasRenderingContext2d, JsValue> {
    let options = Object::new();
    js_sys::Reflect::set(&options, &"willReadFrequently".into(), &true.into())?;
    let context = OffscreenCanvas::new(width, height)?
        .get_context_with_context_options("2d", &options)?
        .ok_or("the browser has no 2d context left")?;
    let context: OffscreenCanvasRenderingContext2d = context.unchecked_into();
    context.set_image_smoothing_enabled(false);
    // A band replaces the one before, transparent pixels included.
    context.set_global_composite_operation("copy")?;
    Ok(context)
}

/// The bytes of an object that has pixels as `ImageData` has them: RGBA, straight alpha, sRGB.
fn plain_data(source: &JsValue) -> Option<Uint8ClampedArray> {
    let data = property(source, "data");
    let in_srgb = property(source, "colorSpace").as_string().is_none_or(|space| space == "srgb");
    match tag(&data).as_str() {
        "Uint8ClampedArray" if in_srgb => Some(data.unchecked_into()),
        _ => None,
    }
}

async fn copy(source: &JsValue, data: &Uint8ClampedArray, signal: &Signal) -> Result<Image> {
    let (width, height) = (length(source, "width").unwrap_or(0), length(source, "height").unwrap_or(0));
    let mut rows = Rows::new(width, height)?;
    if u64::from(data.length()) != u64::from(width) * u64::from(height) * 4 {
        return Err(Error::ImageInvalid(format!(
            "{width}×{height} pixels take four bytes each, its data has {}",
            data.length()
        )));
    }
    while let Some((top, count)) = rows.next_band() {
        let (start, end) = (top * width * 4, (top + count) * width * 4);
        rows.push(&data.subarray(start, end).to_vec())?;
        signal.pause().await?;
    }
    rows.finish()
}

/// A picture growing from top to bottom.
struct Rows {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Rows {
    fn new(width: u32, height: u32) -> Result<Self> {
        check_size(width, height)?;
        let mut rgb = Vec::new();
        rgb.try_reserve_exact(width as usize * height as usize * 3)
            .map_err(|_| Error::OutOfMemory(format!("no room for a picture of {width}×{height}")))?;
        Ok(Self { width, height, rgb })
    }

    /// How many rows the band at `top` has.
    fn in_band(&self, top: u32) -> u32 {
        (BAND / self.width).clamp(1, self.height - top)
    }

    /// The first row that is missing, and how many are wanted next.
    fn next_band(&self) -> Option<(u32, u32)> {
        let top = (self.rgb.len() / (self.width as usize * 3)) as u32;
        (top < self.height).then(|| (top, self.in_band(top)))
    }

    /// Takes the next rows as RGBA with straight alpha. (A canvas holds premultiplied colours, and rounds
    /// when it divides the alpha out again; laid over white, that rounding cancels.)
    fn push(&mut self, rgba: &[u8]) -> Result<()> {
        let count = (rgba.len() / (self.width as usize * 4)) as u32;
        let band = Image::from_rgba(self.width, count, rgba)?;
        self.rgb.extend_from_slice(band.rgb());
        Ok(())
    }

    fn finish(self) -> Result<Image> {
        Image::from_rgb(self.width, self.height, self.rgb)
    }
}

/// What an exception of the browser means for a picture.
fn invalid(what: &str, exception: &JsValue) -> Error {
    let said = text(exception);
    match property(exception, "name").as_string().as_deref() {
        Some("SecurityError") => Error::ImageUnreachable(format!(
            "it comes from another server that does not let this page read it (CORS): have it send \
             Access-Control-Allow-Origin, and set crossOrigin = \"anonymous\" before src ({said})"
        )),
        Some("RangeError") => Error::OutOfMemory(said),
        _ => Error::ImageInvalid(format!("{what} ({said})")),
    }
}
