//! Pictures that only a page has: elements.
#![cfg(target_family = "wasm")]

#[path = "web/js.rs"]
mod js;

use js::{eval, evaluate};
use tinysam::Error;
use tinysam::image::{Image, Photo};
use tinysam::web::decode::pixels;
use tinysam::web::signal::Signal;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

async fn read(source: JsValue) -> Result<Image, Error> {
    let photo = pixels(source, &Signal::default()).await?;
    let rgb = photo.read(0..(photo.width() * photo.height()) as usize).into_owned();
    Image::from_rgb(photo.width(), photo.height(), rgb)
}

/// An `<img>` that has not loaded yet.
fn img(bytes: &[u8]) -> JsValue {
    eval(&format!("Object.assign(new Image(), {{ src: URL.createObjectURL(new Blob([new Uint8Array({bytes:?})])) }})"))
}

#[wasm_bindgen_test]
async fn an_img_is_waited_for_and_upright() {
    let image = read(img(include_bytes!("fixtures/pictures/orientation6.jpg"))).await.unwrap();
    assert_eq!((image.width(), image.height()), (16, 32));
    assert!(image.rgb()[0] > 240 && image.rgb()[2] < 15, "red on top: {:?}", &image.rgb()[..3]);

    let image = read(img(include_bytes!("fixtures/pictures/alpha.png"))).await.unwrap();
    assert_eq!(image.rgb(), [10, 20, 30, 255, 255, 255, 127, 177, 255, 254, 253, 252]);
}

#[wasm_bindgen_test]
async fn an_img_without_a_picture_is_an_error() {
    assert_eq!(read(img(b"no picture")).await.unwrap_err().code(), "image_invalid");
    assert_eq!(read(eval("new Image()")).await.unwrap_err().code(), "image_invalid");
}

#[wasm_bindgen_test]
async fn a_canvas_element_is_a_source() {
    let canvas = eval(
        "(() => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 3, height: 2 });
            const context = canvas.getContext('2d');
            context.fillStyle = 'rgb(1, 2, 3)';
            context.fillRect(0, 0, 3, 1);
            return canvas
        })()",
    );
    let image = read(canvas).await.unwrap();
    assert_eq!((image.width(), image.height()), (3, 2));
    assert_eq!(image.rgb(), [[1, 2, 3].repeat(3), vec![255; 9]].concat());
}

#[wasm_bindgen_test]
async fn a_video_gives_the_frame_it_shows() {
    let early = read(eval("document.createElement('video')")).await.unwrap_err();
    assert_eq!(early.code(), "image_invalid");
    assert!(early.to_string().contains("loadeddata"), "{early}");

    let video = evaluate(
        "(async () => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
            const context = canvas.getContext('2d');
            const draw = () => { context.fillStyle = 'rgb(0, 0, 255)'; context.fillRect(0, 0, 64, 48) };
            draw();
            const video = Object.assign(document.createElement('video'), { muted: true, srcObject: canvas.captureStream() });
            document.body.append(video);
            const timer = setInterval(draw, 20);
            await video.play();
            clearInterval(timer);
            return video
        })()",
    )
    .await;
    let image = read(video).await.unwrap();
    assert_eq!((image.width(), image.height()), (64, 48));
    let [r, g, b] = image.rgb()[3 * (24 * 64 + 32)..][..3] else { panic!() };
    assert!(r < 12 && g < 12 && b > 243, "{:?}", (r, g, b));
}

#[wasm_bindgen_test]
async fn objects_of_another_frame_are_known() {
    let data = eval(
        "(() => {
            const frame = document.createElement('iframe');
            document.body.append(frame);
            return new frame.contentWindow.ImageData(2, 1)
        })()",
    );
    assert_eq!(read(data).await.unwrap().rgb(), [255; 6]);
}
