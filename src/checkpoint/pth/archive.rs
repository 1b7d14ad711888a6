//! The zip that `torch.save` writes. Entries are found, checked against their CRC, and either sliced out of the file
//! (stored, as torch writes them) or inflated (a file that was zipped again).

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::ops::Range;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::checkpoint::limits;
use crate::checkpoint::tensor::{Source, invalid};
use crate::{Error, Result};

/// Deflate cannot shrink anything further than this.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// The end-of-central-directory record without a comment, and the two zip64 records that may stand before it.
const END: usize = 22;
const LOCATOR64: usize = 20;
const END64: usize = 56;

/// A zip within the limits, and what was inflated of it so far.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Entry by name.
    index: HashMap<String, usize>,
    read: u64,
    pub unpacked: Vec<Vec<u8>>,
}

/// A checked entry: where its bytes lie.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub source: Source,
    pub range: Range<usize>,
}

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        check_directory(bytes)?;
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(damaged)?;
        if zip.has_duplicate_names() {
            return Err(invalid("its zip holds two entries of one name"));
        }
        let index = (0..zip.len()).filter_map(|i| Some((zip.name_for_index(i)?.ok()?.into_owned(), i))).collect();
        Ok(Self { bytes, zip, index, read: 0, unpacked: Vec::new() })
    }

    /// The entries' names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// How many bytes an entry says that it has. `None` if there is no such entry.
    pub fn length(&mut self, name: &str) -> Result<Option<u64>> {
        let index = self.index.get(name).copied();
        index.map(|index| Ok(self.zip.by_index_raw(index).map_err(damaged)?.size())).transpose()
    }

    /// Checks an entry and says where its bytes are, at most `limit` of them. `None` if there is no such entry.
    pub fn entry(&mut self, name: &str, limit: u64) -> Result<Option<Entry>> {
        let Some(&index) = self.index.get(name) else {
            return Ok(None);
        };
        let shown: String = name.chars().take(80).collect();
        let mut file = self.zip.by_index(index).map_err(damaged)?;
        let (size, packed, start) = (file.size(), file.compressed_size(), file.data_start());
        self.read = self.read.saturating_add(size);
        if size > limit || self.read > limits::UNPACKED {
            return Err(invalid(format!("its zip entry {shown:?} has {size} bytes, beyond what is read")));
        }
        let broken = |e: io::Error| invalid(format!("its zip entry {shown:?} is damaged: {e}"));
        match file.compression() {
            CompressionMethod::Stored => {
                // To the end, so that the CRC is compared.
                let found = io::copy(&mut file, &mut io::sink()).map_err(broken)?;
                let range = start.and_then(|start| {
                    let start = usize::try_from(start).ok()?;
                    Some(start..start.checked_add(usize::try_from(size).ok()?)?)
                });
                match range {
                    Some(range) if packed == size && found == size && range.end <= self.bytes.len() => {
                        Ok(Some(Entry { source: Source::File, range }))
                    }
                    _ => Err(invalid(format!("its zip entry {shown:?} is cut off"))),
                }
            }
            CompressionMethod::Deflated => {
                if size > packed.saturating_mul(MAX_DEFLATE_RATIO).saturating_add(64)
                    || packed > self.bytes.len() as u64
                {
                    return Err(invalid(format!("its zip entry {shown:?} claims an impossible size of {size} bytes")));
                }
                let mut data = Vec::new();
                let capacity = usize::try_from(size).unwrap_or(usize::MAX);
                data.try_reserve_exact(capacity).map_err(|e| Error::OutOfMemory(e.to_string()))?;
                let found = (&mut file).take(size).read_to_end(&mut data).map_err(broken)?;
                // The end has to be there: past it the CRC is compared, and more data is a lie about the size.
                let more = file.read(&mut [0]).map_err(broken)?;
                if found != capacity || more != 0 {
                    return Err(invalid(format!("its zip entry {shown:?} is not of its stated size")));
                }
                self.unpacked.push(data);
                Ok(Some(Entry { source: Source::Unpacked(self.unpacked.len() - 1), range: 0..capacity }))
            }
            method => {
                Err(invalid(format!("its zip entry {shown:?} is packed with {method}; stored and deflated are read")))
            }
        }
    }

    /// The bytes of an entry of this archive.
    pub fn bytes_of(&self, entry: &Entry) -> &[u8] {
        let source = match entry.source {
            Source::File => Some(self.bytes),
            Source::Unpacked(index) => self.unpacked.get(index).map(Vec::as_slice),
        };
        source.and_then(|bytes| bytes.get(entry.range.clone())).unwrap_or_default()
    }
}

fn damaged(error: zip::result::ZipError) -> Error {
    invalid(format!("its zip is damaged: {error}"))
}

/// Refuses a file whose end is not the end of a zip with a directory of a sane size, before the `zip` crate makes room
/// for as many entries as that end claims.
fn check_directory(bytes: &[u8]) -> Result<()> {
    let cut = || invalid("its zip is cut off: download it again");
    let end_at = bytes.len().checked_sub(END).ok_or_else(cut)?;
    let end = bytes.get(end_at..).unwrap_or_default();
    if !end.starts_with(b"PK\x05\x06") || !end.ends_with(&[0, 0]) {
        return Err(cut());
    }
    let (mut size, mut start) = (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    let mut in_one_file = end.get(8..10) == end.get(10..12);
    let mut directory_end = end_at;
    let locator = end_at.checked_sub(LOCATOR64).and_then(|at| bytes.get(at..end_at));
    if let Some(locator) = locator.filter(|l| l.starts_with(b"PK\x06\x07")) {
        // torch writes zip64 always, and the long record right before its locator.
        let at = usize::try_from(u64_at(locator, 8)).map_err(|_| cut())?;
        if at.checked_add(END64 + LOCATOR64) != Some(end_at) {
            return Err(cut());
        }
        let end64 = bytes.get(at..).unwrap_or_default();
        if !end64.starts_with(b"PK\x06\x06") {
            return Err(cut());
        }
        (size, start) = (u64_at(end64, 40), u64_at(end64, 48));
        in_one_file = u64_at(end64, 24) == u64_at(end64, 32);
        directory_end = at;
    }
    if size > limits::HEADER as u64 {
        return Err(invalid(format!("its zip directory claims {size} bytes, at most {} are read", limits::HEADER)));
    }
    if start.checked_add(size) != Some(directory_end as u64) || !in_one_file {
        return Err(cut());
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    (bytes.get(at..).and_then(<[u8]>::first_chunk)).map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    (bytes.get(at..).and_then(<[u8]>::first_chunk)).map_or(0, |b| u64::from_le_bytes(*b))
}
