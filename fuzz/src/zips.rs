//! Zips as far as the targets need them: one made of stored entries, and checksums put right.

/// Bytes of the end of a zip, without a comment.
const END: usize = 22;
/// No entry of an input is inflated further.
const INFLATED: usize = 4 << 20;

/// A zip of these entries, none of them packed.
pub fn stored(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let (start, size) = (file.len() as u32, data.len() as u32);
        // Version, flags, method, time, date; checksum, sizes; the name's length, no extra field.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend([crc32fast::hash(data), size, size].iter().flat_map(|field| field.to_le_bytes()));
        common.extend((name.len() as u32).to_le_bytes());
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        directory
            .extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &start.to_le_bytes(), name.as_bytes()].concat());
    }
    let (start, size) = (file.len() as u32, directory.len() as u32);
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(directory);
    file.extend(
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat(),
    );
    file
}

/// Writes the right checksum into each entry of the directory that can be made out.
pub fn put_right(zip: &mut [u8]) {
    let Some(mut at) = zip.len().checked_sub(END).and_then(|end| u32_at(zip, end + 16)) else { return };
    while let Some(next) = put_entry_right(zip, at) {
        at = next;
    }
}

/// Of the directory's entry at `at`; gives the place of the next.
fn put_entry_right(zip: &mut [u8], at: usize) -> Option<usize> {
    if !zip.get(at..)?.starts_with(b"PK\x01\x02") {
        return None;
    }
    let lengths = u16_at(zip, at + 28)? + u16_at(zip, at + 30)? + u16_at(zip, at + 32)?;
    let next = at + 46 + lengths;
    let local = u32_at(zip, at + 42)?;
    let Some(start) =
        u16_at(zip, local + 26).zip(u16_at(zip, local + 28)).map(|(name, extra)| local + 30 + name + extra)
    else {
        return Some(next);
    };
    let Some(data) = zip.get(start..start.checked_add(u32_at(zip, at + 20)?)?) else { return Some(next) };
    let checksum = match u16_at(zip, at + 10)? {
        8 => match miniz_oxide::inflate::decompress_to_vec_with_limit(data, INFLATED) {
            Ok(data) => crc32fast::hash(&data),
            Err(_) => return Some(next),
        },
        _ => crc32fast::hash(data),
    };
    for place in [at + 16, local + 14] {
        if let Some(field) = zip.get_mut(place..place + 4) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
    }
    Some(next)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}
