//! One encoder on several workers: of every map, each computes a band of rows.
//!
//! The encoder is local but for 3×3 convolutions and windows. So each worker has the rows that its next step reads, fetches
//! from the others those few that it lacks, and computes its own rows of the result; nobody ever needs the whole map. A
//! row's numbers do not depend on which rows are computed with it: the embedding is the same to the last bit, however many
//! take part.

use std::ops::Range;
use std::pin::Pin;

use burn::tensor::{Tensor, TensorData};

use crate::{Error, Result};

/// Side of the largest windows, in cells of the smallest grid: what cannot be divided among workers.
const LARGEST_WINDOW: usize = 14;

/// A worker's place among those that encode one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// From 0, from the top.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Band {
    /// Of a worker that encodes alone.
    pub const WHOLE: Band = Band { index: 0, count: 1 };

    /// How many workers a picture of model side `side` can be divided among, each with rows of its own in every map.
    pub fn most(side: usize) -> usize {
        (side / 16).div_ceil(LARGEST_WINDOW)
    }

    /// Its rows of a map of `height` rows that is computed in whole units of `unit` rows. Nobody else has them.
    pub fn rows(self, height: usize, unit: usize) -> Range<usize> {
        let units = height.div_ceil(unit);
        let edge = |index: usize| (units * index / self.count * unit).min(height);
        edge(self.index)..edge(self.index + 1)
    }

    /// What a 3×3 convolution reads of a map of `height` rows for its rows of the result.
    fn read(self, height: usize, stride: usize) -> Halo {
        let results = self.rows(height.div_ceil(stride), 1);
        let (first, end) = (results.start * stride, (results.end * stride).min(height));
        let rows = first.saturating_sub(1)..(end + 2 - stride).min(height);
        Halo { above: first - rows.start, below: rows.end - end, rows }
    }

    /// What it computes from, of a picture of model side `side`.
    pub fn pixels(self, side: usize) -> Halo {
        self.read(side, 2)
    }

    fn all(self) -> impl Iterator<Item = Band> {
        (0..self.count).map(move |index| Band { index, ..self })
    }
}

/// What goes to the others before a step, and what comes from them.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Rows for others: the worker, and the numbers.
    pub outgoing: Vec<(usize, Vec<f32>)>,
    /// The workers whose rows are awaited.
    pub incoming: Vec<usize>,
}

/// Rows that are waited for. Boxed, as whoever encodes is not asked by type: the encoder would be compiled for each.
pub type Arriving<'a> = Pin<Box<dyn Future<Output = Result<Vec<Vec<f32>>>> + 'a>>;

/// The workers that encode one picture, as one of them sees the others.
pub trait Neighbours {
    /// The worker's own place.
    fn band(&self) -> Band;

    /// Sends rows, and gives those that came, in the order of [`Exchange::incoming`]. Awaited between any two steps, of
    /// which the longest is a tenth of the whole, also where there is nothing to exchange; an error ends the work.
    fn exchange(&mut self, rows: Exchange) -> Arriving<'_>;
}

/// Rows of a map that a 3×3 convolution reads for a worker, some of which belong to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halo {
    /// All that are read.
    pub rows: Range<usize>,
    /// How many of the first are only read. The result's first row is around the one after them.
    pub above: usize,
    /// How many of the last are only read.
    pub below: usize,
}

/// A worker's part of a map, as a 3×3 convolution takes it: its own rows among those that are only read. A [`Tensor`] is all
/// of its map.
#[derive(Clone, Debug)]
pub struct Haloed {
    /// `[rows, W, C]`
    pub rows: Tensor<3>,
    /// As [`Halo::above`].
    pub above: usize,
    /// As [`Halo::below`].
    pub below: usize,
}

impl Haloed {
    /// The rows `[rows, W, C]` that a halo says.
    pub(super) fn new(rows: Tensor<3>, halo: &Halo) -> Self {
        debug_assert_eq!(rows.dims()[0], halo.rows.len());
        Haloed { rows, above: halo.above, below: halo.below }
    }
}

impl From<Tensor<3>> for Haloed {
    fn from(rows: Tensor<3>) -> Self {
        Haloed { rows, above: 0, below: 0 }
    }
}

#[cfg(feature = "webgpu")]
impl Haloed {
    /// The map, of which a GPU has all.
    pub(super) fn whole(self) -> Tensor<3> {
        debug_assert_eq!((self.above, self.below), (0, 0), "a GPU has no neighbours");
        self.rows
    }
}

/// What a worker holds of a map `[H, W, C]`.
pub(super) struct Strip {
    /// `[rows, W, C]`
    pub rows: Tensor<3>,
    /// The map's height `H`.
    height: usize,
    /// In whole units of how many rows it is divided.
    unit: usize,
}

impl Strip {
    /// The worker's own rows of a map of `height` rows that is divided row by row.
    pub fn new(rows: Tensor<3>, height: usize) -> Self {
        Strip { rows, height, unit: 1 }
    }

    /// The same rows after a step that takes each by itself.
    pub fn map(self, step: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Self {
        Strip { rows: step(self.rows), ..self }
    }

    /// The same map in whole windows of `unit` rows.
    pub async fn in_windows(self, unit: usize, others: &mut dyn Neighbours) -> Result<Self> {
        let height = self.height;
        let rows = self.fetch(|band| band.rows(height, unit), others).await?;
        Ok(Strip { rows, height, unit })
    }

    /// What a 3×3 convolution of `stride` reads for this worker's rows, and the height of its result.
    pub async fn around(self, stride: usize, others: &mut dyn Neighbours) -> Result<(Haloed, usize)> {
        let height = self.height;
        let halo = others.band().read(height, stride);
        let rows = self.fetch(|band| band.read(height, stride).rows, others).await?;
        Ok((Haloed::new(rows, &halo), height.div_ceil(stride)))
    }

    /// The whole map, on the first worker.
    pub async fn gather(self, others: &mut dyn Neighbours) -> Result<Option<Tensor<3>>> {
        let (height, first) = (self.height, others.band().index == 0);
        let rows = self.fetch(|band| if band.index == 0 { 0..height } else { 0..0 }, others).await?;
        Ok(first.then_some(rows))
    }

    /// The rows that `wanted` says. Everyone knows what the others hold and want, so nobody asks.
    async fn fetch(self, wanted: impl Fn(Band) -> Range<usize>, others: &mut dyn Neighbours) -> Result<Tensor<3>> {
        let held = |band: Band| band.rows(self.height, self.unit);
        let me = others.band();
        let (mine, want) = (held(me), wanted(me));
        let [_, width, channels] = self.rows.dims();
        let part = |rows: &Range<usize>| self.rows.clone().slice_dim(0, rows.start - mine.start..rows.end - mine.start);

        let mut exchange = Exchange::default();
        for other in me.all().filter(|other| *other != me) {
            let theirs = common(&mine, &wanted(other));
            if !theirs.is_empty() {
                exchange.outgoing.push((other.index, floats(part(&theirs))?));
            }
            if !common(&held(other), &want).is_empty() {
                exchange.incoming.push(other.index);
            }
        }
        let from = exchange.incoming.clone();
        let came = others.exchange(exchange).await?;
        if from.is_empty() && want == mine {
            return Ok(self.rows);
        }
        let mut came = came.into_iter();
        let mut pieces = Vec::new();
        for other in me.all() {
            let rows = common(&held(other), &want);
            if rows.is_empty() {
                continue;
            }
            pieces.push(if other == me {
                part(&rows)
            } else {
                let numbers = came.next().filter(|numbers| numbers.len() == rows.len() * width * channels);
                let numbers = numbers.ok_or_else(|| Error::Internal(format!("rows {rows:?} did not come whole")))?;
                Tensor::from_data(TensorData::new(numbers, [rows.len(), width, channels]), &self.rows.device())
            });
        }
        Ok(match pieces.is_empty() {
            true => self.rows,
            false => Tensor::cat(pieces, 0),
        })
    }
}

fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

fn floats(rows: Tensor<3>) -> Result<Vec<f32>> {
    rows.into_data().try_into_vec().map_err(|error| Error::Internal(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_whole_windows_that_cover_a_map_once() {
        for count in 1..=5 {
            for (height, unit) in [(64usize, 14), (64, 7), (128, 7), (256, 1), (20, 14)] {
                if height.div_ceil(unit) < count {
                    continue;
                }
                let mut next = 0;
                for rows in (Band { index: 0, count }).all().map(|band| band.rows(height, unit)) {
                    assert!(rows.start == next && !rows.is_empty() && rows.start % unit == 0, "{rows:?}");
                    next = rows.end;
                }
                assert_eq!(next, height);
            }
        }
        let halves = |height, unit| Band { index: 0, count: 2 }.rows(height, unit);
        assert_eq!([halves(64, 14), halves(128, 7), halves(256, 1)], [0..28, 0..63, 0..128]);
    }

    #[test]
    fn a_picture_of_one_window_is_not_divided() {
        assert_eq!([64, 224, 256, 512, 1024].map(Band::most), [1, 1, 2, 3, 5]);
    }

    #[test]
    fn a_convolution_reads_a_row_more_on_each_side_that_there_is() {
        let band = |index| Band { index, count: 3 };
        let halos = |height, stride| {
            [0, 1, 2].map(|i| band(i).read(height, stride)).map(|halo| (halo.above, halo.rows, halo.below))
        };
        assert_eq!(halos(12, 1), [(0, 0..5, 1), (1, 3..9, 1), (1, 7..12, 0)]);
        // Of a stride of two, only above: the last row of a result reads to the last row of its two.
        assert_eq!(halos(24, 2), [(0, 0..8, 0), (1, 7..16, 0), (1, 15..24, 0)]);
    }
}
