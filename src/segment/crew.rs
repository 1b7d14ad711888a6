//! Other workers with the same model, which take a part of the work.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::Sam;
use crate::image::normalise_and_pad;
use crate::model::{self, Arriving, Band, Exchange, MASKS, Neighbours, Pixels, Probe};
use crate::{Error, Result};

/// Work that goes on elsewhere.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// What one batch came to.
pub struct Batch {
    /// Predicted IoU of the four masks of each prompt of the batch.
    pub scores: Vec<[f32; MASKS]>,
    /// Which prompts of the batch have masks.
    pub upscaled: Vec<usize>,
    /// Low-res logits of their four masks, `[upscaled, 4, 4·rows, 4·columns]` of the cells that were upscaled.
    pub logits: Vec<f32>,
}

/// The other workers: see [`Sam::with_crew`].
pub trait Crew: Send + Sync {
    /// How many workers there are at the moment, this one among them.
    fn count(&self) -> usize;

    /// Begins an encode: each part goes to the worker of its index, which does [`Sam::encode_part`].
    fn begin(&self, parts: Vec<Part>);

    /// [`Neighbours::exchange`] of the encode that was begun last. It fails when one of the crew is lost.
    fn exchange(&self, rows: Exchange) -> Task<'_, Vec<Vec<f32>>>;

    /// The encode that was begun last has ended here: whoever still works at it stops.
    fn end(&self);

    /// Whether every worker holds the embedding that was given this number.
    fn holds(&self, embedding: u32) -> bool;

    /// Gives every worker an embedding, as [`super::Embedding::to_bytes`] writes it, in the place of the one before.
    fn hold(&self, embedding: u32, bytes: Vec<u8>);

    /// Has another worker do [`Sam::decode_batch`] on what they hold; none while all have enough to do.
    fn decode(&self, prompts: &[model::Prompt], over: Option<f32>) -> Option<Task<'static, Batch>>;

    /// Lets in what came from the others.
    fn turn(&self) -> Task<'_, ()>;
}

/// One worker's part of a picture that is encoded by several.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Whose.
    pub index: usize,
    /// Among how many.
    pub count: usize,
    /// The model side.
    pub side: usize,
    /// Of the resized photo, in model pixels.
    pub width: usize,
    /// Rows of the resized photo, `[rows, width, 3]`: those of [`Band::pixels`] that the photo reaches to.
    #[serde(skip)]
    pub rgb: Vec<u8>,
}

impl Part {
    pub(super) fn of(resized: &[u8], width: usize, side: usize, band: Band) -> Self {
        let rows = band.pixels(side).rows;
        let at = |row: usize| (row * width * 3).min(resized.len());
        let rgb = resized[at(rows.start)..at(rows.end)].to_vec();
        Part { index: band.index, count: band.count, side, width, rgb }
    }

    fn band(&self) -> Band {
        Band { index: self.index, count: self.count }
    }
}

/// The crew, if there is one, as the encoder sees it.
pub(super) struct Others<'a, F> {
    crew: Option<&'a dyn Crew>,
    band: Band,
    pause: F,
}

impl<F: AsyncFnMut() -> Result<()>> Others<'static, F> {
    /// Nobody.
    pub fn none(pause: F) -> Self {
        Others { crew: None, band: Band::WHOLE, pause }
    }
}

impl<F: AsyncFnMut() -> Result<()>> Neighbours for Others<'_, F> {
    fn band(&self) -> Band {
        self.band
    }

    fn exchange(&mut self, rows: Exchange) -> Arriving<'_> {
        Box::pin(async {
            (self.pause)().await?;
            match self.crew {
                Some(crew) => crew.exchange(rows).await,
                None => Ok(Vec::new()),
            }
        })
    }
}

impl<F> Drop for Others<'_, F> {
    fn drop(&mut self) {
        if let Some(crew) = self.crew {
            crew.end();
        }
    }
}

impl Sam {
    /// The same model, which shares its work with others: encodes pictures in bands, and deals out many prompts. What it
    /// answers is the same to the last bit. A crew that has lost one goes on with the rest.
    pub fn with_crew(self, crew: std::sync::Arc<dyn Crew>) -> Self {
        Sam { crew: Some(crew), ..self }
    }

    /// Encodes a resized photo `[h, width, 3]`, together with the crew.
    pub(super) async fn encode(
        &self,
        resized: &[u8],
        width: usize,
        side: usize,
        mut pause: impl AsyncFnMut() -> Result<()>,
    ) -> Result<model::Embedding> {
        loop {
            let all = self.crew.as_deref().map_or(1, Crew::count);
            let count = all.min(Band::most(side));
            let part = |index| Part::of(resized, width, side, Band { index, count });
            let crew = self.crew.as_deref().filter(|_| count > 1);
            if let Some(crew) = crew {
                crew.begin((1..count).map(part).collect());
            }
            let first = part(0);
            let mut others = Others { crew, band: first.band(), pause: &mut pause };
            let encoded = self.model.encode(self.pixels(&first), &mut Probe::off(), &mut others).await;
            match encoded {
                Ok(Some(embedding)) => return Ok(embedding),
                Ok(None) => return Err(Error::Internal("the first worker has no embedding".into())),
                // With one less it is begun anew. What the caller wants to end is ended.
                Err(error) if error != Error::Aborted && crew.is_some_and(|crew| crew.count() < all) => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Does this worker's part of a picture that is encoded by several: see [`Crew::begin`].
    ///
    /// # Errors
    /// `internal` for a part that cannot be; as [`Neighbours::exchange`] has them.
    pub async fn encode_part(&self, part: &Part, others: &mut dyn Neighbours) -> Result<()> {
        if part.index >= part.count || part.count > Band::most(part.side) {
            return Err(Error::Internal(format!("part {} of {} cannot be", part.index, part.count)));
        }
        self.model.encode(self.pixels(part), &mut Probe::off(), others).await.map(drop)
    }

    /// Pixels of a resized photo on the device.
    pub(super) fn pixels(&self, part: &Part) -> Pixels {
        let Part { side, width, ref rgb, .. } = *part;
        let normalised = |rows| normalise_and_pad(rgb, width, [rows, side]);
        Pixels::new(rgb, width, side, part.band(), self.model.device(), normalised)
    }
}

/// What a task came to, if it has ended.
pub(super) async fn ended<T>(task: &mut Task<'_, T>) -> Option<Result<T>> {
    poll_fn(|context| match task.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::Mutex;

    use burn::tensor::Device;
    use futures_lite::future::block_on;
    use tinysam_golden::{formula, synth};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::image::{Image, resize};
    use crate::segment::{Answer, Choice, Embedding, Prompt};

    fn sam() -> Sam {
        Sam::load(&Checkpoint::from_bytes(formula::formula_safetensors(0)).unwrap(), &Device::flex()).unwrap()
    }

    /// Rows on their way: from whom, to whom, at which step.
    type Mail = Rc<RefCell<HashMap<(usize, usize, usize), Vec<f32>>>>;

    struct Postman {
        band: Band,
        mail: Mail,
        step: usize,
    }

    impl Neighbours for Postman {
        fn band(&self) -> Band {
            self.band
        }

        fn exchange(&mut self, rows: Exchange) -> Arriving<'_> {
            let (me, step) = (self.band.index, self.step);
            self.step += 1;
            for (to, rows) in rows.outgoing {
                self.mail.borrow_mut().insert((me, to, step), rows);
            }
            Box::pin(poll_fn(move |context| {
                let mut mail = self.mail.borrow_mut();
                if rows.incoming.iter().all(|from| mail.contains_key(&(*from, me, step))) {
                    let came = rows.incoming.iter().map(|from| mail.remove(&(*from, me, step)).unwrap());
                    return Poll::Ready(Ok(came.collect()));
                }
                context.waker().wake_by_ref();
                Poll::Pending
            }))
        }
    }

    /// gemm's rows depend in their last digits on how many there are; in WebAssembly they do not, and tests in the browser
    /// ask for the same bits.
    #[test]
    fn bands_make_the_embedding_that_one_worker_makes() {
        let sam = sam();
        let image = Image::from_rgb(500, 380, synth::synth(500, 380)).unwrap();
        for (side, counts) in [(256, 2..=2), (448, 2..=2), (512, 2..=3)] {
            let frame = crate::image::Frame::new(500, 380, side).unwrap();
            let resized = resize(&image, &frame).unwrap();
            let (width, side) = (frame.resized.0 as usize, side as usize);
            let numbers = |embedding: model::Embedding| embedding.image.into_data().try_to_vec::<f32>().unwrap();
            let alone = numbers(block_on(sam.encode(&resized, width, side, async || Ok(()))).unwrap());
            let scale = alone.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for count in counts {
                let mail = Mail::default();
                let workers = (0..count).map(|index| {
                    let band = Band { index, count };
                    let part = Part::of(&resized, width, side, band);
                    let mut others = Postman { band, mail: mail.clone(), step: 0 };
                    let sam = &sam;
                    Box::pin(async move {
                        match index {
                            0 => sam.model.encode(sam.pixels(&part), &mut Probe::off(), &mut others).await,
                            _ => sam.encode_part(&part, &mut others).await.map(|()| None),
                        }
                    })
                });
                let mut workers: Vec<_> = workers.map(|worker| (worker, None)).collect();
                block_on(poll_fn(|context| {
                    for (worker, result) in workers.iter_mut().filter(|(_, result)| result.is_none()) {
                        if let Poll::Ready(embedding) = worker.as_mut().poll(context) {
                            *result = Some(embedding.unwrap());
                        }
                    }
                    if workers.iter().all(|(_, result)| result.is_some()) { Poll::Ready(()) } else { Poll::Pending }
                }));
                assert!(mail.borrow().is_empty(), "all that was sent was awaited");
                let mut made = workers.into_iter().map(|(_, result)| result.unwrap());
                let together = numbers(made.next().unwrap().expect("the first worker has the embedding"));
                assert!(made.all(|embedding| embedding.is_none()));
                assert_eq!(together.len(), alone.len());
                for (together, alone) in together.iter().zip(&alone) {
                    assert!((together - alone).abs() < 1e-5 * scale, "{count} at {side}: {together}, not {alone}");
                }
            }
        }
    }

    #[test]
    fn parts_that_cannot_be_are_refused() {
        let (sam, rgb) = (sam(), Vec::new());
        for (index, count) in [(2, 2), (0, 3)] {
            let part = Part { index, count, side: 256, width: 256, rgb: rgb.clone() };
            let refused = block_on(sam.encode_part(&part, &mut Others::none(async || Ok(()))));
            assert_eq!(refused.unwrap_err().code(), "internal", "part {index} of {count}");
        }
    }

    /// Workers of whom one is lost in every encode, if it is not the caller who ends it.
    struct Failing {
        /// How many there are, each time that is asked; the last number stays.
        counts: Mutex<Vec<usize>>,
        begun: Mutex<usize>,
        ended: Mutex<usize>,
    }

    impl Crew for Failing {
        fn count(&self) -> usize {
            let mut counts = self.counts.lock().unwrap();
            if counts.len() > 1 { counts.remove(0) } else { counts[0] }
        }
        fn begin(&self, parts: Vec<Part>) {
            let mut begun = self.begun.lock().unwrap();
            *begun += 1;
            assert_eq!((parts.len(), *begun), (1, 1), "with nobody lost nothing is begun again");
        }
        fn exchange(&self, _: Exchange) -> Task<'_, Vec<Vec<f32>>> {
            Box::pin(async { Err(Error::Internal("gone".into())) })
        }
        fn end(&self) {
            *self.ended.lock().unwrap() += 1;
        }
        fn holds(&self, _: u32) -> bool {
            false
        }
        fn hold(&self, _: u32, _: Vec<u8>) {}
        fn decode(&self, _: &[model::Prompt], _: Option<f32>) -> Option<Task<'static, Batch>> {
            None
        }
        fn turn(&self) -> Task<'_, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn an_encode_is_begun_anew_with_those_who_are_left_and_ends_for_any_other_reason() {
        let sam = sam();
        let (width, side) = (256, 256);
        let resized = synth::synth(256, 200);
        let alone = block_on(sam.encode(&resized, width, side, async || Ok(()))).unwrap().image;
        let encoded = |counts: &[usize], pause: &mut dyn FnMut() -> Result<()>| {
            let counts = Mutex::new(counts.to_vec());
            let crew = Arc::new(Failing { counts, begun: Mutex::default(), ended: Mutex::default() });
            let sam = sam.clone().with_crew(crew.clone());
            let made = block_on(sam.encode(&resized, width, side, async || pause())).map(|embedding| embedding.image);
            (made, *crew.begun.lock().unwrap(), *crew.ended.lock().unwrap())
        };
        // One of two is lost, and the other goes on alone.
        let (made, begun, ended) = encoded(&[2, 1], &mut || Ok(()));
        assert_eq!((made.unwrap().into_data(), begun, ended), (alone.into_data(), 1, 1));
        // Nobody is lost.
        let (made, begun, ended) = encoded(&[2], &mut || Ok(()));
        assert_eq!((made.unwrap_err().code(), begun, ended), ("internal", 1, 1));
        // The caller ends it, just as one is lost.
        let (made, begun, ended) = encoded(&[2, 1], &mut || Err(Error::Aborted));
        assert_eq!((made.unwrap_err(), begun, ended), (Error::Aborted, 1, 1));
        // There is no crew, and something fails.
        let mut pauses = 0;
        let failed = block_on(sam.encode(&resized, width, side, async || {
            pauses += 1;
            assert_eq!(pauses, 1, "begun again, with nobody to be lost");
            Err(Error::Internal("gone".into()))
        }));
        assert_eq!(failed.err().map(|error| error.code()), Some("internal"));
    }

    /// Workers that decode when they are asked, late, or never.
    struct Dealt {
        sam: Sam,
        held: Mutex<Option<(u32, Vec<u8>)>>,
        /// Batches that are taken, and how many of them come to nothing.
        taken: Mutex<usize>,
        lost: usize,
        open: Arc<Mutex<usize>>,
    }

    impl Crew for Dealt {
        fn count(&self) -> usize {
            3
        }
        fn begin(&self, _: Vec<Part>) {}
        fn exchange(&self, _: Exchange) -> Task<'_, Vec<Vec<f32>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn end(&self) {}
        fn holds(&self, embedding: u32) -> bool {
            self.held.lock().unwrap().as_ref().is_some_and(|(held, _)| *held == embedding)
        }
        fn hold(&self, embedding: u32, bytes: Vec<u8>) {
            *self.held.lock().unwrap() = Some((embedding, bytes));
        }
        fn decode(&self, prompts: &[model::Prompt], over: Option<f32>) -> Option<Task<'static, Batch>> {
            if *self.open.lock().unwrap() >= 4 {
                return None;
            }
            *self.open.lock().unwrap() += 1;
            let number = *self.taken.lock().unwrap();
            *self.taken.lock().unwrap() += 1;
            let (sam, prompts, open) = (self.sam.clone(), prompts.to_vec(), self.open.clone());
            let embedding = Embedding::from_bytes(&self.held.lock().unwrap().as_ref().unwrap().1, &sam).unwrap();
            let lost = number < self.lost;
            Some(Box::pin(async move {
                // The later ones are done first.
                let mut turns = 8 - number.min(8);
                poll_fn(|context| {
                    turns = turns.saturating_sub(1);
                    context.waker().wake_by_ref();
                    if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                *open.lock().unwrap() -= 1;
                match lost {
                    true => Err(Error::Internal("gone".into())),
                    false => sam.decode_batch(&embedding, &prompts, over).await,
                }
            }))
        }
        fn turn(&self) -> Task<'_, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn prompts_that_are_dealt_out_are_answered_in_their_order() {
        let sam = sam();
        let image = Image::from_rgb(90, 60, synth::synth(90, 60)).unwrap();
        let embedding = block_on(sam.embed(&image, 64, async || Ok(()))).unwrap();
        // Points and boxes, of which batches hold one kind.
        let prompts: Vec<Prompt> = (0..37)
            .map(|i| match i % 10 {
                9 => Prompt::bbox([i as f32, 5.0, 30.0, 20.0]),
                _ => Prompt::point(2.0 * i as f32, i as f32),
            })
            .collect();
        let answers = |sam: &Sam| {
            let answers = block_on(sam.segment(&embedding, &prompts, Choice::ALL, async |_| Ok(()))).unwrap();
            answers
                .iter()
                .flat_map(|answer: &Answer| &answer.masks)
                .map(|mask| (mask.bbox, mask.area))
                .collect::<Vec<_>>()
        };
        let alone = answers(&sam);
        for lost in [0, 3] {
            let crew = Arc::new(Dealt {
                sam: sam.clone(),
                held: Mutex::default(),
                taken: Mutex::default(),
                lost,
                open: Arc::default(),
            });
            assert_eq!(answers(&sam.clone().with_crew(crew.clone())), alone);
            assert!(*crew.taken.lock().unwrap() > 2);
        }
        // A few are not worth a journey.
        let crew = Arc::new(Dealt {
            sam: sam.clone(),
            held: Mutex::default(),
            taken: Mutex::default(),
            lost: 0,
            open: Arc::default(),
        });
        let few = block_on(sam.clone().with_crew(crew.clone()).segment(
            &embedding,
            &prompts[..3],
            Choice::BEST,
            async |_| Ok(()),
        ));
        assert_eq!((few.unwrap().len(), *crew.taken.lock().unwrap()), (3, 0));
    }
}
