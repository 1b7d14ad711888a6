//! The whole network on the CPU against the reference's numbers (tests/fixtures/goldens), at every size.
//!
//! The same comparison runs in browsers and on GPUs: `cargo xtask verify`.

use std::io::Cursor;
use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::Device;
use futures_lite::future::block_on;
use tinysam::Error;
use tinysam::checkpoint::Checkpoint;
use tinysam::image::Image;
use tinysam::segment::{Answer, Batch, Choice, Embedding, EverythingOptions, Prompt, Sam, SavedPrecision};
use tinysam_golden::{Everything, Golden, Report, engine, fixture, formula, synth};
use zune_jpeg::JpegDecoder;

/// The formula checkpoint of seed 0, through the loader.
fn sam() -> &'static Sam {
    static SAM: OnceLock<Sam> = OnceLock::new();
    SAM.get_or_init(|| {
        let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap();
        Sam::load(&checkpoint, &Device::flex()).unwrap()
    })
}

fn compare(sam: &Sam, name: &str, image: &Image) -> Report {
    let golden = Golden::open(&fixture(&format!("goldens/{name}.json"))).unwrap();
    assert_eq!(golden.original, (image.width(), image.height()));
    assert_eq!(golden.image_sha256.as_deref().unwrap_or_default(), synth::image_sha256(image.rgb()));
    engine::trace(sam, image, &golden).unwrap()
}

fn synthetic() -> Image {
    Image::from_rgb(640, 480, synth::synth(640, 480)).unwrap()
}

fn segment(embedding: &Embedding, prompts: &[Prompt], choice: Choice) -> Vec<Answer> {
    block_on(sam().segment(embedding, prompts, choice, async |_| Ok(()))).unwrap()
}

#[track_caller]
fn assert_passed(report: Report) {
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[test]
fn at_256_pixels() {
    assert_passed(compare(sam(), "golden_256_synth", &synthetic()));
}

#[test]
fn at_512_pixels() {
    assert_passed(compare(sam(), "golden_512_synth", &synthetic()));
}

#[test]
fn at_1024_pixels() {
    assert_passed(compare(sam(), "golden_1024_synth", &synthetic()));
}

fn coffee() -> Image {
    photo(&fixture("photos/coffee.png"))
}

/// A PNG or a JPEG in colours of eight bits.
fn photo(path: &Path) -> Image {
    let bytes = Cursor::new(std::fs::read(path).unwrap());
    if path.extension().unwrap() == "jpg" {
        let mut decoder = JpegDecoder::new(bytes);
        let pixels = decoder.decode().unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        return Image::from_rgb(width as u32, height as u32, pixels).unwrap();
    }
    let mut reader = png::Decoder::new(bytes).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    Image::from_rgb(info.width, info.height, pixels).unwrap()
}

#[test]
fn on_a_photo() {
    assert_passed(compare(sam(), "golden_1024_coffee", &coffee()));
}

/// The project's own checkpoint.
fn trained() -> &'static Sam {
    static SAM: OnceLock<Sam> = OnceLock::new();
    SAM.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/models/tinysam-photos.safetensors");
        let checkpoint = Checkpoint::from_bytes(std::fs::read(path).unwrap()).unwrap();
        Sam::load(&checkpoint, &Device::flex()).unwrap()
    })
}

/// Against the project's own PyTorch model (training/): what training makes of activations, random weights do not show.
#[test]
fn on_trained_weights() {
    assert_passed(compare(trained(), "golden_256_coffee_photos", &coffee()));
}

/// The page takes these in place of an encode where they say that they fit. That a photo has
/// changed since nothing but their numbers would tell.
#[test]
fn the_pages_samples_are_what_its_checkpoint_encodes() {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public/photos");
    for name in ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"] {
        let saved = std::fs::read(photos.join(format!("encoded/{name}.tinysam"))).expect("run `cargo xtask samples`");
        let saved = Embedding::from_bytes(&saved, trained()).expect("run `cargo xtask samples`");
        let fresh = block_on(trained().embed(&photo(&photos.join(name)), 320, async || Ok(()))).unwrap();
        assert_eq!(saved.frame(), fresh.frame(), "{name}: run `cargo xtask samples`");
        // They are saved in f16.
        let apart = relative_rms(&saved, &fresh);
        assert!(apart < 1e-3, "{name}: {apart}: run `cargo xtask samples`");
    }
}

fn relative_rms(embedding: &Embedding, expected: &Embedding) -> f64 {
    let [numbers, expected] = [embedding, expected].map(|embedding| {
        let bytes = block_on(embedding.to_bytes(SavedPrecision::F32)).unwrap();
        let numbers = bytes[108..bytes.len() - 32].as_chunks().0;
        numbers.iter().map(|number| f64::from(f32::from_le_bytes(*number))).collect::<Vec<_>>()
    });
    let apart: f64 = numbers.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum();
    (apart / expected.iter().map(|number| number.powi(2)).sum::<f64>()).sqrt()
}

#[test]
fn everything_at_256_pixels() {
    let golden = Everything::open(&fixture("goldens/everything_256_synth.json")).unwrap();
    assert_passed(engine::everything(sam(), &synthetic(), &golden).unwrap());
}

/// What random weights do not show of everything, whose masks all fill their picture: boxes that overlap too much, small
/// regions, and points at whole pixels where the picture's sides are no multiples of the grid's.
#[test]
fn everything_in_a_photo_with_trained_weights() {
    let (golden, photo) = (Everything::open(&fixture("goldens/everything_256_coffee_photos.json")).unwrap(), coffee());
    assert_eq!(golden.image, [photo.width(), photo.height()]);
    assert_eq!(golden.image_sha256.as_deref().unwrap_or_default(), synth::image_sha256(photo.rgb()));
    // The second half is there to be compared.
    let config = &golden.config;
    assert!(golden.image.iter().all(|side| !side.is_multiple_of(config.points_per_side)));
    assert!(config.box_nms_thresh == 0.7 && config.min_mask_region_area > 0 && golden.masks.len() > 5);
    assert_passed(engine::everything(trained(), &photo, &golden).unwrap());
}

/// Filters that let masks of the formula checkpoint through.
fn lenient() -> EverythingOptions {
    let mut options = EverythingOptions::default();
    (options.points_per_side, options.pred_iou_thresh) = (8, 0.5);
    (options.stability_score_thresh, options.box_nms_thresh) = (0.0, 1.0);
    options
}

#[test]
fn everything_is_the_same_each_time() {
    let embedding = block_on(sam().embed(&synthetic(), 64, async || Ok(()))).unwrap();
    let run = || {
        let masks = block_on(sam().everything(&embedding, &lenient(), async |_| Ok(()))).unwrap();
        masks.into_iter().map(|m| (m.score, m.stability, m.point, m.runs)).collect::<Vec<_>>()
    };
    let first = run();
    assert!(!first.is_empty());
    for _ in 1..10 {
        assert!(run() == first);
    }
}

#[test]
fn everything_ends_between_batches_and_loses_nothing() {
    let embedding = block_on(sam().embed(&synthetic(), 64, async || Ok(()))).unwrap();
    let mut batches = 0;
    let ended = block_on(sam().everything(&embedding, &lenient(), async |_| {
        batches += 1;
        if batches == 2 { Err(Error::Aborted) } else { Ok(()) }
    }));
    assert_eq!(ended.unwrap_err(), Error::Aborted);
    assert_eq!(batches, 2);
    assert_eq!(segment(&embedding, &[Prompt::point(10.0, 10.0)], Choice::BEST).len(), 1);
}

#[test]
fn an_encode_ends_between_steps_and_is_the_same_with_pauses() {
    let mut steps = 0;
    let embedding = block_on(sam().embed(&synthetic(), 64, async || {
        steps += 1;
        futures_lite::future::yield_now().await;
        Ok(())
    }))
    .unwrap();
    // After resizing, and before each step that reads what lies around its own rows: two of each block.
    assert_eq!(steps, 29);
    let at_once = block_on(sam().embed(&synthetic(), 64, async || Ok(()))).unwrap();
    let [paused, at_once] = [embedding, at_once].map(|e| block_on(e.to_bytes(SavedPrecision::F32)).unwrap());
    assert!(paused == at_once);

    let mut begun = 0;
    let ended = block_on(sam().embed(&synthetic(), 64, async || {
        begun += 1;
        if begun == steps / 2 { Err(Error::Aborted) } else { Ok(()) }
    }));
    assert_eq!(ended.err(), Some(Error::Aborted));
    assert_eq!(begun, steps / 2);
}

#[test]
fn many_prompts_end_between_batches() {
    let embedding = block_on(sam().embed(&synthetic(), 64, async || Ok(()))).unwrap();
    let prompts: Vec<Prompt> = (0..40).map(|i| Prompt::bbox([i as f32, i as f32, 90.0, 70.0])).collect();
    let (mut answered, mut batches) = (0, 0);
    let ended = block_on(sam().segment(&embedding, &prompts, Choice::BEST, async |batch: &mut [Answer]| {
        (answered, batches) = (answered + batch.len(), batches + 1);
        if batches == 2 { Err(Error::Aborted) } else { Ok(()) }
    }));
    assert_eq!(ended.unwrap_err(), Error::Aborted);
    assert!(batches == 2 && answered < prompts.len(), "{answered}");
}

/// Of a call with one prompt they are at hand, of others they are decoded again.
#[test]
fn every_mask_has_its_logits() {
    let embedding = block_on(sam().embed(&synthetic(), 64, async || Ok(()))).unwrap();
    let prompts = [Prompt::point(100.0, 200.0), Prompt::point(400.0, 300.0), Prompt::bbox([20.0, 30.0, 300.0, 200.0])];
    let together = segment(&embedding, &prompts, Choice::ALL);
    for (prompt, answer) in prompts.iter().zip(together) {
        let alone = segment(&embedding, std::slice::from_ref(prompt), Choice::ALL).remove(0);
        for (mask, other) in alone.masks.iter().zip(&answer.masks) {
            let [logits, again] = [mask, other].map(|mask| block_on(sam().logits(&embedding, mask)).unwrap());
            assert_eq!(logits.len(), 16 * 16);
            assert!(logits.iter().zip(&*again).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
    let masks = block_on(sam().everything(&embedding, &lenient(), async |_| Ok(()))).unwrap();
    let mask = &masks[masks.len() / 2];
    let [x, y] = mask.point.unwrap();
    let alone = segment(&embedding, &[Prompt::point(x as f32, y as f32)], Choice::ALL).remove(0);
    let logits = block_on(sam().logits(&embedding, mask)).unwrap();
    let close = |mask: &_| {
        let other = block_on(sam().logits(&embedding, mask)).unwrap();
        logits.iter().zip(&*other).all(|(a, b)| (a - b).abs() < 1e-4)
    };
    assert!(alone.masks.iter().any(close));
}

/// MobileSAM takes the decoder's first mask for a box, and TinySAM the best of the other three.
#[test]
fn mobile_sam_answers_a_box_with_the_first_mask() {
    let golden = Golden::open(&fixture("goldens/golden_256_synth.json")).unwrap();
    let boxed = golden.prompts.iter().find(|(name, _)| name == "p3_box").unwrap().1.bbox.unwrap();
    let scores = &golden.tensors.iter().find(|(name, _)| name == "p3_box.iou4").unwrap().1.values;
    let embedding = block_on(sam().embed(&synthetic(), 256, async || Ok(()))).unwrap();
    let prompts = [Prompt::bbox(boxed), Prompt::point(300.0, 240.0)];
    let mobile = sam().clone().with_single_mask_for_boxes(true);
    let theirs = block_on(mobile.segment(&embedding, &prompts, Choice::BEST, async |_| Ok(()))).unwrap();
    let ours = segment(&embedding, &prompts, Choice::BEST);
    let best = scores[1..].iter().copied().fold(f32::MIN, f32::max);
    assert!((theirs[0].best().score - scores[0]).abs() < 1e-4 && (ours[0].best().score - best).abs() < 1e-4);
    assert_ne!(theirs[0].best().runs, ours[0].best().runs);
    assert_eq!(theirs[1].best().runs, ours[1].best().runs);
}

#[test]
fn pictures_of_one_pixel_and_panoramas_can_be_segmented() {
    for (width, height) in [(1, 1), (640, 1), (3, 300), (2000, 20)] {
        let image = Image::from_rgb(width, height, synth::synth(width, height)).unwrap();
        let embedding = block_on(sam().embed(&image, 64, async || Ok(()))).unwrap();
        let answers = segment(&embedding, &[Prompt::point(0.5, 0.5)], Choice::BEST);
        assert_eq!(answers[0].best().bitmap().width(), width);
        let mut seen = (0, 0);
        let masks = block_on(sam().everything(&embedding, &lenient(), async |batch: Batch<'_>| {
            seen = (batch.done, batch.total);
            Ok(())
        }))
        .unwrap();
        assert!(seen.0 > 0 && seen.0 == seen.1, "{seen:?}");
        assert!(masks.iter().all(|m| m.area <= width * height));
    }
}
