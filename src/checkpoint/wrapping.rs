//! Where in a file the network is: training scripts put its state dict into another, beside the optimiser's, and
//! wrappers of modules put their own name before each tensor's.
//!
//! A name is taken for a wrapper's where all tensors of a dict have it before theirs: the network's own names begin in
//! three ways, so that nothing of them is lost. That is `module.` (DataParallel), `_orig_mod.` (torch.compile),
//! `model.`, `sam.`, or any other. A count of the script's own may stand beside. Of several dicts the first in which
//! every tensor is accounted for is the network.

use std::iter;

use super::manifest::{self, Misfits};
use super::tensor_file::TensorFile;
use crate::{Error, Result};

/// What stands before the names of the network's tensors; mostly nothing.
///
/// # Errors
/// [`Error::CheckpointMismatch`] if no dict of the file fits, of the one that fits best: the first tensor that is
/// missing, of another shape or type, or unknown, and how many more there are.
pub(super) fn prefix(file: &TensorFile) -> Result<String> {
    let mut fitting: Vec<String> = Vec::new();
    let mut nearest: Option<(String, Misfits)> = None;
    for prefix in iter::once("").chain(file.dicts()).flat_map(|dict| wrappers(file, dict)) {
        let misfits = manifest::compare(file.under(&prefix).collect());
        if misfits.count() == 0 {
            if !fitting.contains(&prefix) {
                fitting.push(prefix);
            }
        } else if nearest.as_ref().is_none_or(|(_, least)| misfits.count() < least.count()) {
            nearest = Some((prefix, misfits));
        }
    }
    match (fitting.split_first(), nearest) {
        (Some((first, others)), _) => {
            if !first.is_empty() {
                log::info!("the checkpoint's tensors are those named {first:?} and on");
            }
            // At a level that a browser shows: a choice was made.
            for other in others {
                log::warn!("those named {other:?} and on would fit, too, and are left out");
            }
            Ok(first.clone())
        }
        (None, Some((prefix, misfits))) => {
            let place = if prefix.is_empty() { String::new() } else { format!("of those named {prefix:?} and on, ") };
            let sentence = beside(file).unwrap_or_else(|| format!("{place}{}", misfits.sentence()));
            Err(Error::CheckpointMismatch(sentence))
        }
        (None, None) => Err(Error::Internal("a file of no dict".to_owned())),
    }
}

/// Wrappers within wrappers that are looked through: scripts put two or three around a network.
const WRAPPERS: usize = 8;

/// A dict's own name, and the same with one wrapper's name after the other.
fn wrappers(file: &TensorFile, dict: &str) -> impl Iterator<Item = String> {
    iter::successors(Some(dict.to_owned()), |prefix| {
        // In order, what the first and the last begin with all between begin with.
        let mut names = file.under(prefix).filter(|(name, info)| !manifest::is_count(name, *info));
        let (first, _) = names.next()?;
        let last = names.next_back().map_or(first, |(last, _)| last);
        let (wrapper, _) = first.split_once('.')?;
        (last.split_once('.')?.0 == wrapper).then(|| format!("{prefix}{wrapper}."))
    })
    .take(1 + WRAPPERS)
}

/// What is wrong where the network is behind a name that not all tensors of its dict have before theirs. Those others
/// may belong to it, an adapter or a head, and so it is not taken without them.
fn beside(file: &TensorFile) -> Option<String> {
    let first = manifest::keys().iter().find(|key| key.used)?.name;
    let prefix = file.names().find_map(|name| name.strip_suffix(first).filter(|prefix| prefix.ends_with('.')))?;
    let other = file.names().find(|name| !name.starts_with(prefix))?;
    let fits = manifest::compare(file.under(prefix).collect()).count() == 0;
    fits.then(|| {
        format!("its tensors are those named {prefix:?} and on, and {other:?} stands beside them: save those alone")
    })
}
