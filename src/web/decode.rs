//! Pictures from whatever a page has them in. The browser decodes: it knows the formats, orientations and
//! colour profiles. What it gives passes through wasm in bands ([`Rows`]) and does not stay there.

use js_sys::{Object, Promise, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, HtmlImageElement, ImageBitmap, ImageBitmapOptions, OffscreenCanvas, OffscreenCanvasRenderingContext2d,
    PremultiplyAlpha,
};

use super::canvas;
use super::error::{is_abort, text};
use super::fetch;
use super::header::{self, Truncated};
use super::js::{length, property, tag};
use super::photo::JsPhoto;
use super::rows::Rows;
use super::signal::Signal;
use crate::image::check_size;
use crate::{Error, Result};

/// From so many pixels on a browser may have refused a file for want of memory.
const LARGE: u32 = 16_000_000;
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
/// [`Error::PixelsProtected`], [`Error::OutOfMemory`], [`Error::Aborted`].
pub async fn pixels(source: JsValue, signal: &Signal) -> Result<JsPhoto> {
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
        "VideoFrame" => frame(&source, "displayWidth", "displayHeight", signal).await,
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
            frame(&source, "videoWidth", "videoHeight", signal).await
        }
        other => Err(Error::ImageInvalid(format!(
            "{} is no picture: pass a File, Blob, URL, ImageBitmap, ImageData, canvas, <img>, <video> or \
             VideoFrame",
            if other.is_empty() { "this value" } else { other }
        ))),
    }
}

/// Refuses an encoded picture that is empty or too long, before anything of it is read.
pub fn check_length(file: &Blob) -> Result<()> {
    match file.size() {
        0.0 => Err(Error::ImageInvalid("the file is empty".into())),
        length if length > fetch::MAX_PICTURE as f64 => Err(fetch::picture_too_long()),
        _ => Ok(()),
    }
}

/// An encoded picture.
async fn decode(file: &Blob, signal: &Signal) -> Result<JsPhoto> {
    check_length(file)?;
    let (header, size) = header_of(file, signal).await?;
    if let Some((width, height)) = size {
        check_size(width, height)?;
    }
    let why = || match size {
        Some((width, height)) if width * height >= LARGE => format!(
            "{}; or there is no memory left for its {width}×{height} pixels: make it smaller first",
            header::why_unreadable(&header)
        ),
        _ => header::why_unreadable(&header),
    };
    let rows = rows(&bitmap(file, why, signal).await?.0, signal).await?;
    if !rows.is_seen() {
        // WebKit gives such pixels for what is cut off.
        return Err(Error::ImageInvalid(
            "nothing of it is to be seen: it is wholly transparent, or damaged or cut off: get the file again".into(),
        ));
    }
    Ok(rows.finish())
}

/// The first bytes of a file, as many as tell its sides, and those (before orientation).
async fn header_of(file: &Blob, signal: &Signal) -> Result<(Vec<u8>, Option<(u32, u32)>)> {
    let mut header = Vec::new();
    for length in header::LENGTHS {
        let unread = |exception: JsValue| match is_abort(&exception) {
            true => Error::Aborted,
            false => Error::ImageUnreachable(format!(
                "the file cannot be read ({}): was it moved or changed? Choose it again",
                text(&exception)
            )),
        };
        let slice = file.slice_with_f64_and_f64(0.0, f64::from(length)).map_err(unread)?;
        let bytes = signal.race(JsFuture::from(slice.array_buffer())).await?.map_err(unread)?;
        header = Uint8Array::new(&bytes).to_vec();
        match header::size(&header) {
            Err(Truncated) if f64::from(length) < file.size() => continue,
            size => return Ok((header, size.ok().flatten())),
        }
    }
    Ok((header, None))
}

/// What an element, canvas or frame shows now; `width` and `height` are the names of its properties.
async fn snapshot(source: &JsValue, width: &str, height: &str, signal: &Signal) -> Result<JsPhoto> {
    let side = |key| length(source, key).unwrap_or(0);
    check_size(side(width), side(height))?;
    draw(&bitmap(source, || "the browser gives no pixels of it".into(), signal).await?.0, signal).await
}

/// What a `<video>` or a frame of one shows now. It is drawn, as some browsers' `createImageBitmap` forgets that a video
/// is turned.
async fn frame(source: &JsValue, width: &str, height: &str, signal: &Signal) -> Result<JsPhoto> {
    let side = |key| length(source, key).unwrap_or(0);
    let (width, height) = (side(width), side(height));
    check_size(width, height)?;
    let drawn = || {
        let canvas = OffscreenCanvas::new(width, height)?;
        let context = canvas.get_context("2d")?.ok_or("the browser has no 2d context left")?;
        let context: Context = context.unchecked_into();
        context.draw_image(source, 0.0, 0.0, f64::from(width), f64::from(height))?;
        canvas.transfer_to_image_bitmap()
    };
    let bitmap = drawn().map_err(|exception| invalid("the browser gives no pixels of it", &exception))?;
    draw(&Bitmap(bitmap).0, signal).await
}

#[wasm_bindgen]
extern "C" {
    /// A canvas's context that draws whatever can be drawn.
    type Context;
    #[wasm_bindgen(catch, method, js_name = drawImage)]
    fn draw_image(
        this: &Context,
        source: &JsValue,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
    ) -> std::result::Result<(), JsValue>;

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

/// Upright, for that is every browser's default; its name, `from-image`, is a TypeError to those before 2023. `why` tells
/// why it may have been refused.
async fn bitmap(source: &JsValue, why: impl Fn() -> String, signal: &Signal) -> Result<Bitmap> {
    let options = ImageBitmapOptions::new();
    options.set_premultiply_alpha(PremultiplyAlpha::None);
    let made = match create_image_bitmap(source, &options) {
        Ok(promise) => signal.race(JsFuture::from(promise)).await?,
        Err(exception) => Err(exception),
    };
    made.map(|bitmap| Bitmap(bitmap.unchecked_into())).map_err(|exception| invalid(&why(), &exception))
}

/// A bitmap's pixels.
async fn draw(bitmap: &ImageBitmap, signal: &Signal) -> Result<JsPhoto> {
    Ok(rows(bitmap, signal).await?.finish())
}

/// A bitmap's pixels, by way of a canvas as high as a band.
async fn rows(bitmap: &ImageBitmap, signal: &Signal) -> Result<Rows> {
    let (width, height) = (bitmap.width(), bitmap.height());
    if width == 0 || height == 0 {
        return Err(Error::ImageInvalid("the bitmap was closed or transferred: pass one that is open".into()));
    }
    canvas::check(|| band(canvas::SIDE, canvas::SIDE).ok())?;
    let mut rows = Rows::new(width, height)?;
    let context = band(width, rows.in_band(0)).map_err(|exception| invalid("no canvas", &exception))?;
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
    Ok(rows)
}

/// A canvas for a band of a picture.
fn band(width: u32, height: u32) -> std::result::Result<OffscreenCanvasRenderingContext2d, JsValue> {
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

async fn copy(source: &JsValue, data: &Uint8ClampedArray, signal: &Signal) -> Result<JsPhoto> {
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
    Ok(rows.finish())
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
