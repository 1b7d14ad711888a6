//! An embedding as bytes: made on a server or once, kept, and prompted where the model runs.
//!
//! | bytes | what, little-endian |
//! |---|---|
//! | 8 | `tinysam` and a zero |
//! | 4 | the version of this format, 1 |
//! | 4 | bytes of a number: 4 (f32) or 2 (f16) |
//! | 4 | the model side `S` |
//! | 8 | the photo's width and height |
//! | 16 | what the network saw of it: x, y, width, height |
//! | 64 | SHA-256 of the checkpoint, in lower-case hex |
//! | (S/16)² · 256 numbers | the embedding, `[L, 256]` |
//! | 32 | SHA-256 of all that |

use burn::tensor::{Tensor, TensorData};
use half::f16;
use sha2::{Digest, Sha256};

use super::decode::read;
use super::{Embedding, Sam};
use crate::image::Frame;
use crate::model::EMBEDDING;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"tinysam\0";
const VERSION: u32 = 1;
const DIGEST: usize = 32;

/// How exactly an embedding is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedPrecision {
    /// Two bytes a number, 2 MiB at side 1024: masks differ by a few pixels along their edges.
    F16,
    /// Four bytes a number: what is restored is what was saved.
    F32,
}

impl Embedding {
    /// The embedding as bytes, for [`Embedding::from_bytes`].
    ///
    /// # Errors
    /// As the device has them; `option_invalid` if f16 cannot hold a number of it.
    pub async fn to_bytes(&self, precision: SavedPrecision) -> Result<Vec<u8>> {
        let numbers = read(self.model.image.clone()).await?;
        let Frame { original, crop, side, .. } = self.frame;
        let mut bytes = MAGIC.to_vec();
        let size = match precision {
            SavedPrecision::F16 => 2,
            SavedPrecision::F32 => 4,
        };
        for field in [VERSION, size, side, original.0, original.1].into_iter().chain(crop) {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.checkpoint.as_bytes());
        match precision {
            SavedPrecision::F32 => bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
            SavedPrecision::F16 => bytes.extend(numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes())),
        }
        if precision == SavedPrecision::F16 && numbers.iter().any(|number| f16::from_f32(*number).is_infinite()) {
            return Err(Error::OptionInvalid("f16 cannot hold this embedding: save it as f32".into()));
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        Ok(bytes)
    }

    /// An embedding from what [`Embedding::to_bytes`] gave, for the model that made it, on whatever device.
    ///
    /// # Errors
    /// `embedding_invalid` if the bytes are no saved embedding, of a newer version or damaged; `embedding_mismatch` if
    /// another checkpoint made it.
    pub fn from_bytes(bytes: &[u8], sam: &Sam) -> Result<Self> {
        let (told, digest) = bytes.split_at(bytes.len().saturating_sub(DIGEST));
        let mut fields = Fields(told.strip_prefix(MAGIC).ok_or_else(|| invalid("it is no embedding of tinysam"))?);
        match fields.number()? {
            VERSION => {}
            version => return Err(invalid(&format!("its version is {version}, this is {VERSION}: update tinysam"))),
        }
        if Sha256::digest(told)[..] != *digest {
            return Err(damaged());
        }
        let [size, side, width, height] = fields.numbers()?;
        let crop = fields.numbers()?;
        let checkpoint = String::from_utf8_lossy(fields.take(64)?).into_owned();
        if checkpoint != *sam.checkpoint {
            return Err(Error::EmbeddingMismatch(format!(
                "it was made by the checkpoint {checkpoint}, this model's is {}: embed the photo again, or load that \
                 checkpoint",
                sam.checkpoint
            )));
        }
        // A digest is no signature: whoever writes such a file can write anything.
        let frame = Frame::of_crop(width, height, crop, side).map_err(|error| invalid(&error.to_string()))?;
        let tokens = (side as usize / 16).pow(2);
        let raw = fields.0;
        let numbers: Vec<f32> = match size {
            2 => raw.as_chunks().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()).collect(),
            4 => raw.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect(),
            _ => return Err(invalid(&format!("its numbers have {size} bytes"))),
        };
        if raw.len() != tokens * EMBEDDING * size as usize || numbers.iter().any(|number| !number.is_finite()) {
            return Err(invalid("what it holds is no embedding of its size"));
        }
        let image = Tensor::from_data(TensorData::new(numbers, [1, tokens, EMBEDDING]), sam.model.device());
        Ok(Embedding::new(sam.model.embedding(image, side), frame, sam))
    }
}

/// What is left to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        let [number] = self.numbers()?;
        Ok(number)
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u32; N]> {
        let raw = self.take(4 * N)?.as_chunks::<4>().0;
        Ok(std::array::from_fn(|i| raw.get(i).map_or(0, |raw| u32::from_le_bytes(*raw))))
    }
}

fn invalid(why: &str) -> Error {
    Error::EmbeddingInvalid(why.into())
}

fn damaged() -> Error {
    invalid("it is cut off or damaged: fetch or make it again")
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use burn::tensor::Device;
    use futures_lite::future::block_on;
    use tinysam_golden::{formula, synth};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::image::Image;
    use crate::segment::{Choice, Prompt};

    fn sam() -> &'static Sam {
        static SAM: OnceLock<Sam> = OnceLock::new();
        SAM.get_or_init(|| load(0))
    }

    fn load(seed: u64) -> Sam {
        let checkpoint = Checkpoint::from_bytes(formula::formula_safetensors(seed)).unwrap();
        Sam::load(&checkpoint, &Device::flex()).unwrap()
    }

    fn embedding() -> Embedding {
        let photo = Image::from_rgb(160, 120, synth::synth(160, 120)).unwrap();
        block_on(sam().embed_crop(&photo, [10, 20, 100, 80], 64, async || Ok(()))).unwrap()
    }

    fn logits(embedding: &Embedding) -> Vec<f32> {
        let prompts = [Prompt::point(60.0, 50.0)];
        let answers = block_on(sam().segment(embedding, &prompts, Choice::ALL, async |_| Ok(()))).unwrap();
        block_on(sam().logits(embedding, &answers[0].masks[0])).unwrap().to_vec()
    }

    fn bytes(precision: SavedPrecision) -> Vec<u8> {
        block_on(embedding().to_bytes(precision)).unwrap()
    }

    /// With a digest that is right.
    fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len() - DIGEST;
        let digest = Sha256::digest(&bytes[..length]);
        bytes[length..].copy_from_slice(&digest);
        bytes
    }

    fn refused(bytes: &[u8], sam: &Sam) -> &'static str {
        Embedding::from_bytes(bytes, sam).map(drop).unwrap_err().code()
    }

    #[test]
    fn what_is_restored_answers_as_what_was_saved() {
        let saved = bytes(SavedPrecision::F32);
        assert_eq!(saved.len(), 108 + 4 * 4 * 256 * 4 + 32);
        let restored = Embedding::from_bytes(&saved, sam()).unwrap();
        assert_eq!(restored.frame(), embedding().frame());
        assert_eq!(logits(&restored), logits(&embedding()));
    }

    #[test]
    fn half_the_bytes_move_logits_by_little() {
        let saved = bytes(SavedPrecision::F16);
        assert_eq!(saved.len(), 108 + 4 * 4 * 256 * 2 + 32);
        let (exact, rounded) = (logits(&embedding()), logits(&Embedding::from_bytes(&saved, sam()).unwrap()));
        let largest = exact.iter().fold(0f32, |most, logit| most.max(logit.abs()));
        assert!(exact.iter().zip(&rounded).all(|(a, b)| (a - b).abs() < 0.01 * largest));
        assert_ne!(exact, rounded);
    }

    #[test]
    fn foreign_and_damaged_bytes_are_refused() {
        let saved = bytes(SavedPrecision::F16);
        for foreign in [&b""[..], b"tinysam", b"\x89PNG\r\n\x1a\n", &vec![0; 3000]] {
            assert_eq!(refused(foreign, sam()), "embedding_invalid");
        }
        for length in (0..saved.len()).step_by(37) {
            assert_eq!(refused(&saved[..length], sam()), "embedding_invalid", "{length} bytes");
        }
        for at in (0..saved.len()).step_by(41) {
            let mut flipped = saved.clone();
            flipped[at] ^= 1;
            assert_eq!(refused(&flipped, sam()), "embedding_invalid", "byte {at}");
        }
    }

    #[test]
    fn what_a_right_digest_says_is_not_believed_either() {
        let saved = bytes(SavedPrecision::F16);
        let with = |at: usize, value: u32| {
            let mut changed = saved.clone();
            changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
            signed(changed)
        };
        for (at, values) in [(8, [0, 2]), (12, [4, 8]), (16, [128, u32::MAX]), (20, [0, 50]), (28, [100, u32::MAX])] {
            for value in values {
                assert_eq!(refused(&with(at, value), sam()), "embedding_invalid", "{value} at {at}");
            }
        }
        assert_eq!(refused(&with(200, 0x7e00_7e00), sam()), "embedding_invalid", "NaN");
        assert_eq!(refused(&signed(saved[..140].to_vec()), sam()), "embedding_invalid", "nothing in it");
    }

    #[test]
    fn another_checkpoint_is_named() {
        let other = load(1);
        let error = Embedding::from_bytes(&bytes(SavedPrecision::F16), &other).map(drop).unwrap_err();
        assert_eq!(error.code(), "embedding_mismatch");
        assert!(error.to_string().contains(&*sam().checkpoint) && error.to_string().contains(&*other.checkpoint));
    }
}
