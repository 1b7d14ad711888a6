use js_sys::{Array, Uint8Array};
use tinysam::Error;
use tinysam::image::{Image, Photo};
use tinysam::web::decode::pixels;
use tinysam::web::signal::Signal;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::aborting_after;
use crate::js::{eval, evaluate};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/pictures/", $name))
    };
}

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

fn blob(bytes: &[u8]) -> JsValue {
    let parts = Array::of1(&Uint8Array::from(bytes));
    web_sys::Blob::new_with_u8_array_sequence(&parts).unwrap().into()
}

async fn read(source: JsValue) -> Result<Image, Error> {
    let photo = pixels(source, &Signal::default()).await?;
    let rgb = photo.read(0..(photo.width() * photo.height()) as usize).into_owned();
    Image::from_rgb(photo.width(), photo.height(), rgb)
}

fn size(image: &Image) -> (u32, u32) {
    (image.width(), image.height())
}

#[track_caller]
fn assert_near(image: &Image, x: u32, y: u32, colour: [u8; 3]) {
    let at = (y * image.width() + x) as usize * 3;
    let pixel = &image.rgb()[at..at + 3];
    let near = pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 12);
    assert!(near, "({x}, {y}) is {pixel:?}, expected about {colour:?}");
}

#[wasm_bindgen_test]
async fn alpha_is_laid_over_white() {
    // 4 pixels: opaque, transparent, half, nearly transparent (200, 50, 7 at 3 of 255).
    let expected = [10, 20, 30, 255, 255, 255, 127, 177, 255, 254, 253, 252];
    let image = read(blob(fixture!("alpha.png"))).await.unwrap();
    assert_eq!((size(&image), image.rgb()), ((4, 1), &expected[..]));
}

#[wasm_bindgen_test]
async fn every_alpha_comes_through_a_bitmap_as_from_memory() {
    // All 256 × 256 pairs of a channel and an alpha: the canvas in between premultiplies.
    let data = "(() => {
        const data = new ImageData(256, 256);
        for (let i = 0; i < 65536; i++) data.data.set([i >> 8, i >> 8, i >> 8, i & 255], i * 4);
        return data
    })()";
    let from_memory = read(eval(data)).await.unwrap();
    let bitmap = evaluate(&format!("createImageBitmap({data}, {{ premultiplyAlpha: 'none' }})")).await;
    let from_bitmap = read(bitmap).await.unwrap();
    let worst = from_memory.rgb().iter().zip(from_bitmap.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
    assert_eq!(worst, Some(0));
}

#[wasm_bindgen_test]
async fn orientation_is_applied() {
    let image = read(blob(fixture!("orientation6.jpg"))).await.unwrap();
    assert_eq!(size(&image), (16, 32));
    for (y, colour) in [(0, RED), (12, RED), (19, BLUE), (31, BLUE)] {
        assert_near(&image, 0, y, colour);
        assert_near(&image, 15, y, colour);
    }
}

#[wasm_bindgen_test]
async fn formats() {
    let image = read(blob(fixture!("red-then-blue.gif"))).await.unwrap();
    assert!(size(&image) == (8, 6) && image.rgb().chunks(3).all(|pixel| pixel == RED), "the first frame");

    let image = read(blob(fixture!("halves.webp"))).await.unwrap();
    assert_eq!(size(&image), (6, 2));
    assert_eq!(image.rgb(), [RED, RED, RED, BLUE, BLUE, BLUE].concat().repeat(2));

    let image = read(blob(fixture!("halves.avif"))).await.unwrap();
    assert_eq!(size(&image), (64, 32));
    assert_near(&image, 3, 3, RED);
    assert_near(&image, 60, 30, BLUE);

    // Stored from top to bottom, which a negative height says.
    let image = read(blob(&bmp(2, -2, &[[0, 0, 255, 255, 0, 0, 0, 0], [255, 0, 0, 0, 0, 255, 0, 0]]))).await.unwrap();
    assert_eq!(size(&image), (2, 2));
    assert_eq!(image.rgb(), [RED, BLUE, BLUE, RED].concat());
}

/// A Windows bitmap of 24 bits (BGR, rows padded to four bytes).
fn bmp(width: i32, height: i32, rows: &[[u8; 8]]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    for field in [54 + 8 * rows.len() as i32, 0, 54, 40, width, height, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(rows.concat());
    file
}

#[wasm_bindgen_test]
async fn addresses_are_a_source() {
    let png = evaluate(&format!(
        "new Promise((resolve) => {{
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result);
            reader.readAsDataURL(new Blob([new Uint8Array({:?})], {{ type: 'image/png' }}))
        }})",
        fixture!("alpha.png")
    ))
    .await;
    assert!(png.as_string().is_some_and(|url| url.starts_with("data:image/png;")));
    assert_eq!(read(png).await.map(|image| size(&image)), Ok((4, 1)));

    let file = format!("new File([new Uint8Array({:?})], 'a.jpg')", fixture!("orientation6.jpg"));
    let url = eval(&format!("URL.createObjectURL({file})"));
    assert_eq!(read(url).await.map(|image| size(&image)), Ok((16, 32)));
    assert_eq!(read(eval(&file)).await.map(|image| size(&image)), Ok((16, 32)));

    for (url, says) in [("location.origin + '/no.png'", "404"), ("'http://127.0.0.1:9/a.png'", "CORS")] {
        let error = read(eval(url)).await.unwrap_err();
        assert_eq!(error.code(), "image_unreachable");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// Three bands high, each row of another colour.
const STRIPES: &str = "(() => {
    const canvas = new OffscreenCanvas(3000, 1700), context = canvas.getContext('2d');
    for (let y = 0; y < 1700; y++) {
        context.fillStyle = `rgb(${y % 256}, ${y >> 8}, 77)`;
        context.fillRect(0, y, 3000, 1);
    }
    return canvas
})()";

fn assert_striped(image: &Image) {
    assert_eq!(size(image), (3000, 1700));
    for (y, row) in image.rgb().chunks(9000).enumerate() {
        let colour = [(y % 256) as u8, (y >> 8) as u8, 77];
        assert!(row.chunks(3).all(|pixel| pixel == colour), "row {y}");
    }
}

#[wasm_bindgen_test]
async fn what_the_browser_drew_comes_as_it_is() {
    let canvas = eval(STRIPES);
    assert_striped(&read(canvas.clone()).await.unwrap());
    js_sys::Reflect::set(&js_sys::global(), &"canvas".into(), &canvas).unwrap();
    assert_striped(&read(eval("canvas.getContext('2d').getImageData(0, 0, 3000, 1700)")).await.unwrap());
    assert_striped(&read(evaluate("canvas.convertToBlob()").await).await.unwrap());

    let bitmap = evaluate("createImageBitmap(canvas)").await;
    assert_striped(&read(bitmap.clone()).await.unwrap());
    // It is the caller's, and still open.
    assert_striped(&read(bitmap).await.unwrap());

    let frame = eval("new VideoFrame(canvas, { timestamp: 0 })");
    let image = read(frame).await.unwrap();
    assert_eq!(size(&image), (3000, 1700));
    assert_near(&image, 5, 1000, [(1000 % 256) as u8, 3, 77]);

    let plain = eval("{ width: 1, height: 2, data: new Uint8ClampedArray([1, 2, 3, 255, 4, 5, 6, 255]) }");
    assert_eq!(read(plain).await.unwrap().rgb(), [1, 2, 3, 4, 5, 6]);
    // The browser converts from a wide gamut.
    let wide = eval(
        "(() => {
        const data = new ImageData(1, 1, { colorSpace: 'display-p3' });
        data.data.set([200, 100, 50, 255]);
        return data
    })()",
    );
    let converted = read(wide).await.unwrap();
    assert_near(&converted, 0, 0, [214, 93, 31]);
}

/// A PNG's signature and header, of these sides; no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(height.to_be_bytes());
    file.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    file
}

#[wasm_bindgen_test]
async fn too_large_a_picture_is_refused_before_decoding() {
    eval(
        "globalThis.trueCreate = createImageBitmap, globalThis.decoded = 0,
          globalThis.createImageBitmap = (...all) => { decoded++; return trueCreate(...all) }",
    );
    let mut jpeg = vec![0xff, 0xd8];
    for _ in 0..3 {
        // A long preview or profile: the size comes after 192 KiB.
        jpeg.extend([0xff, 0xe2, 0xff, 0xff]);
        jpeg.resize(jpeg.len() + 0xfffd, 0);
    }
    jpeg.extend([0xff, 0xc0, 0, 17, 8, 0x4e, 0x20, 0x4e, 0x20, 3]);
    jpeg.resize(jpeg.len() + 100_000, 0);
    let mut gif = b"GIF89a\x20\x4e\x20\x4e\0\0\0".to_vec();
    gif.resize(100, 0);
    for file in [png_header(20_000, 20_000), jpeg, gif, bmp(20_000, -20_000, &[])] {
        let too_large = Error::ImageTooLarge { width: 20_000, height: 20_000 };
        assert_eq!(read(blob(&file)).await, Err(too_large));
    }
    let wide = Error::ImageTooLarge { width: 16_385, height: 1 };
    assert_eq!(read(blob(&png_header(16_385, 1))).await, Err(wide.clone()));
    assert_eq!(read(eval("new OffscreenCanvas(16385, 1)")).await, Err(wide));
    let sides = "{ width: 10001, height: 10000, data: new Uint8ClampedArray(4) }";
    assert_eq!(read(eval(sides)).await.unwrap_err().code(), "image_too_large");
    let count = eval("decoded");
    eval("globalThis.createImageBitmap = trueCreate");
    assert_eq!(count, 0);
}

/// A lossy WebP says beside each side how large it is to be shown.
#[wasm_bindgen_test]
async fn a_scale_beside_a_side_is_none_of_it() {
    let mut webp = b"RIFF\x60\0\0\0WEBPVP8 \x54\0\0\0\x10\0\0\x9d\x01\x2a".to_vec();
    webp.extend((800u16 | 1 << 14).to_le_bytes());
    webp.extend((600u16 | 3 << 14).to_le_bytes());
    webp.resize(104, 0);
    // Its pixels are damaged; what is too large is told first.
    assert_eq!(read(blob(&webp)).await.unwrap_err().code(), "image_invalid");
}

/// Whoever waits for it holds up every other call.
#[wasm_bindgen_test]
async fn a_host_that_says_nothing_is_given_up() {
    eval(
        "globalThis.trueFetch = fetch, globalThis.trueTimeout = setTimeout,
          globalThis.setTimeout = (work, ms) => trueTimeout(work, ms === 30000 ? 20 : ms)",
    );
    let nothing = "globalThis.fetch = () => new Promise(() => undefined)";
    let one_byte = "globalThis.fetch = async () => new Response(
        new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1)) }))";
    let mut told = Vec::new();
    for fetch in [nothing, one_byte] {
        eval(fetch);
        told.push(read(eval("'https://silent.test/a.jpg'")).await);
    }
    eval("globalThis.fetch = trueFetch, globalThis.setTimeout = trueTimeout");
    for error in told.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.code(), "image_unreachable");
        assert!(error.to_string().contains("https://silent.test/a.jpg sent nothing for 30 seconds"), "{error}");
    }
}

#[wasm_bindgen_test]
async fn what_is_no_picture_is_said_to_be_none() {
    let mut cut = png_header(40, 40);
    cut.truncate(30);
    let garbage: Vec<u8> = (0..5000u32).map(|i| (i * i / 7) as u8).collect();
    let files: [&[u8]; 6] = [b"", b"hello", &garbage, &cut, &png_header(0, 5), &fixture!("orientation6.jpg")[..40]];
    for file in files {
        assert_eq!(read(blob(file)).await.unwrap_err().code(), "image_invalid", "{} bytes", file.len());
    }
    for source in [
        "undefined",
        "null",
        "7",
        "{}",
        "new ArrayBuffer(3)",
        "new OffscreenCanvas(0, 5)",
        "{ width: 2, height: 2, data: new Uint8ClampedArray(15) }",
        "{ width: 1.5, height: 2, data: new Uint8ClampedArray(12) }",
        "{ width: -1, height: 2, data: new Uint8ClampedArray(8) }",
        "(() => {
            const canvas = new OffscreenCanvas(4, 4);
            canvas.getContext('2d');
            const frame = new VideoFrame(canvas, { timestamp: 0 });
            frame.close();
            return frame
        })()",
    ] {
        assert_eq!(read(eval(source)).await.unwrap_err().code(), "image_invalid", "{source}");
    }
    let closed = evaluate("createImageBitmap(new ImageData(2, 2)).then((b) => { b.close(); return b })").await;
    let error = read(closed).await.unwrap_err();
    assert!(error.code() == "image_invalid" && error.to_string().contains("closed"), "{error}");
}

#[wasm_bindgen_test]
async fn our_bitmaps_are_closed() {
    eval("globalThis.trueCreate = createImageBitmap, globalThis.made = [],
          globalThis.createImageBitmap = async (...all) => { const b = await trueCreate(...all); made.push(b); return b }");
    read(blob(fixture!("alpha.png"))).await.unwrap();
    read(eval("new ImageData(5, 5, { colorSpace: 'display-p3' })")).await.unwrap();
    eval("globalThis.createImageBitmap = trueCreate");
    assert_eq!(eval("made.map((b) => b.width).join()"), "0,0");
}

#[wasm_bindgen_test]
async fn pixels_of_other_origins_are_refused_with_advice() {
    eval(
        "OffscreenCanvasRenderingContext2D.prototype.getImageData = ((get) => {
        globalThis.trueGet = get;
        return () => { throw new DOMException('The canvas has been tainted', 'SecurityError') }
    })(OffscreenCanvasRenderingContext2D.prototype.getImageData)",
    );
    let error = read(blob(fixture!("alpha.png"))).await.unwrap_err();
    eval("OffscreenCanvasRenderingContext2D.prototype.getImageData = trueGet");
    assert_eq!(error.code(), "image_unreachable");
    assert!(error.to_string().contains("crossOrigin"), "{error}");
}

#[wasm_bindgen_test]
async fn an_abort_is_heard_between_bands() {
    let aborted = Signal::new(Some(web_sys::AbortSignal::abort()));
    assert_eq!(pixels(blob(fixture!("alpha.png")), &aborted).await.map(drop), Err(Error::Aborted));
    // 48 megapixels take far longer than 10 ms, and 24 bands.
    let canvas = eval("(() => { const c = new OffscreenCanvas(8000, 6000); c.getContext('2d'); return c })()");
    assert_eq!(pixels(canvas, &aborting_after(10)).await.map(drop), Err(Error::Aborted));
    let data = eval("new ImageData(8000, 6000)");
    assert_eq!(pixels(data, &aborting_after(10)).await.map(drop), Err(Error::Aborted));
}

/// Has a photo's array made by `made`, a function of its length in bytes.
async fn with_bytes_by<T>(made: &str, work: impl Future<Output = T>) -> T {
    eval(&format!(
        "globalThis.trueBytes = Uint8Array, globalThis.bytes = [],
         globalThis.Uint8Array = new Proxy(Uint8Array, {{
             construct: (target, [length, ...more]) =>
                 typeof length == 'number' ? ({made})(length) : new target(length, ...more)
         }})"
    ));
    let done = work.await;
    eval("globalThis.Uint8Array = trueBytes");
    done
}

#[wasm_bindgen_test]
async fn photos_lie_outside_wasms_memory_and_are_given_back() {
    let canvas = eval("(() => { const c = new OffscreenCanvas(4000, 3000); c.getContext('2d'); return c })()");
    let recorded = "(length) => { const made = new trueBytes(length); bytes.push(made); return made }";
    let memory = || core::arch::wasm32::memory_size::<0>() << 16;
    let before = memory();
    let mut held = Vec::new();
    for _ in 0..4 {
        let photo = with_bytes_by(recorded, pixels(canvas.clone(), &Signal::default())).await;
        held.push((photo.unwrap(), eval("bytes[0]")));
    }
    // All of them there would be four times as much.
    assert!(memory() - before < 36_000_000, "{} bytes", memory() - before);
    let length = |bytes: &JsValue| bytes.unchecked_ref::<Uint8Array>().length();
    for (photo, bytes) in held {
        assert_eq!(length(&bytes), 36_000_000);
        drop(photo);
        assert_eq!(length(&bytes), 0);
    }
}

#[wasm_bindgen_test]
async fn a_photo_for_which_there_is_no_memory_is_an_error() {
    let refused = "() => { throw new RangeError('Array buffer allocation failed') }";
    let signal = Signal::default();
    let read = pixels(eval("new ImageData(5, 4)"), &signal);
    let error = with_bytes_by(refused, read).await.map(drop).unwrap_err();
    assert!(error.code() == "out_of_memory" && error.to_string().contains("5×4"), "{error}");
}
