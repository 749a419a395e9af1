//! A checkpoint of torch 1.6 and newer: a zip archive with the table of contents as a pickle, and the data of each
//! tensor as a file.

use super::pickle::examine;
use crate::artefact;
use crate::error::{Error, Result};
use candle_core::pickle::{Object, Stack, TensorInfo};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const EXPECTED: &str = "a complete pytorch_model.bin as torch 1.6 or newer writes it; download it again, or save it \
                        with `save_pretrained(folder)` of transformers";
/// Maximum number of bytes read from a pickle; the pickle of a model with a million tensors is shorter.
const LONGEST: u64 = 1 << 30;

/// A checkpoint of torch, with its table of contents.
#[derive(Debug)]
pub(super) struct TorchFile {
    path: PathBuf,
    tensors: HashMap<String, TensorInfo>,
    /// The tensors that cannot be read, such as masks of booleans, and the reasons. Most models need none of them.
    unread: HashMap<String, String>,
}

/// An archive of the zip format.
type Archive = zip::ZipArchive<BufReader<File>>;

impl TorchFile {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// [`Error::BadFile`] if the file is not such a checkpoint, or a tensor is longer than the file.
    pub(super) fn open(path: &Path) -> Result<TorchFile> {
        let wrong = |e: &dyn Display| {
            Error::bad_file(path, format!("a file that is not a PyTorch checkpoint ({e})"), EXPECTED)
        };
        artefact::guarded(path, EXPECTED, || {
            let file = artefact::open_regular(path)?;
            let length = file.metadata().map_err(Error::io("read", path))?.len();
            let mut all =
                TorchFile { path: path.to_path_buf(), tensors: HashMap::new(), unread: HashMap::new() };
            all.read_pickles(file).map_err(|e| wrong(&e))?;
            for (name, info) in &all.tensors {
                let values = info.layout.dims().iter().try_fold(1_usize, |n, size| n.checked_mul(*size));
                let bytes = values.and_then(|n| n.checked_mul(info.dtype.size_in_bytes()));
                let end = bytes.and_then(|n| n.checked_add(info.layout.start_offset()));
                if end.is_none_or(|end| end as u64 > length) {
                    return Err(wrong(&format!("tensor `{name}` is longer than the file")));
                }
            }
            Ok(all)
        })
    }

    /// Reads each pickle of the archive.
    fn read_pickles(&mut self, file: File) -> Result<(), String> {
        let mut archive = Archive::new(BufReader::new(file)).map_err(|e| e.to_string())?;
        for at in 0..archive.len() {
            let entry = archive.by_index(at).map_err(|e| e.to_string())?;
            let name = entry.name().map_err(|e| e.to_string())?.into_owned();
            let Some(folder) = name.strip_suffix(".pkl").filter(|folder| folder.ends_with("data")) else {
                continue;
            };
            let mut bytes = Vec::new();
            entry.take(LONGEST).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            examine(&bytes)?;
            let mut stack = Stack::empty();
            stack.read_loop(&mut &bytes[..]).map_err(|e| e.to_string())?;
            self.add(stack.finalize().map_err(|e| e.to_string())?, Path::new(folder));
        }
        Ok(())
    }

    /// Adds the tensors of a pickle's dictionary. candle's own reader is not used: it prints the tensors it cannot
    /// read.
    fn add(&mut self, pickled: Object, folder: &Path) {
        let Object::Dict(entries) = module_state(pickled) else { return };
        for (key, value) in entries {
            let name = match &key {
                Object::Unicode(name) => name.clone(),
                _ => continue,
            };
            match value.into_tensor_info(key, folder) {
                Ok(Some(info)) => _ = self.tensors.insert(name, info),
                Ok(None) => {}
                Err(problem) => _ = self.unread.insert(name, problem.to_string()),
            }
        }
    }

    /// The names of all tensors, including those that cannot be read.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys().chain(self.unread.keys())
    }

    /// The type and the shape of a tensor that can be read.
    pub(super) fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// The error for a tensor that the file has, but that cannot be read; `None` for other names.
    pub(super) fn unread(&self, name: &str) -> Option<Error> {
        let problem = self.unread.get(name)?;
        let found = format!("tensor `{name}` that cannot be read ({problem})");
        let expected = "f32, f16 or bf16; save it again with `save_pretrained(folder)` of transformers";
        Some(Error::bad_file(&self.path, found, expected))
    }

    /// Reads a tensor; `None` if the file has none of this name.
    pub(super) fn get(&self, name: &str) -> candle_core::Result<Option<Tensor>> {
        let Some(info) = self.tensors.get(name) else { return Ok(None) };
        let is_transposed = info.layout.is_fortran_contiguous();
        if !info.layout.is_contiguous() && !is_transposed {
            return Err(candle_core::Error::Msg("a view of another tensor, not contiguous".into()));
        }
        let mut archive =
            Archive::new(BufReader::new(File::open(&self.path)?)).map_err(candle_core::Error::wrap)?;
        let mut data = archive.by_name(&info.path).map_err(candle_core::Error::wrap)?;
        std::io::copy(&mut data.by_ref().take(info.layout.start_offset() as u64), &mut std::io::sink())?;
        // The size was compared with the file's length when the table of contents was read.
        let mut bytes = vec![0; info.layout.shape().elem_count() * info.dtype.size_in_bytes()];
        data.read_exact(&mut bytes)?;
        let tensor = Tensor::from_raw_buffer(&bytes, info.dtype, info.layout.dims(), &Device::Cpu)?;
        if info.layout.dims().len() < 2 || !is_transposed {
            return Ok(Some(tensor));
        }
        // The file stores column after column, so a row of the file is a column of the tensor.
        let dims: Vec<usize> = info.layout.dims().iter().rev().copied().collect();
        let order: Vec<usize> = (0..dims.len()).rev().collect();
        tensor.reshape(dims)?.permute(order).map(Some)
    }
}

/// The state of a module that was saved as a whole; any other object is returned unchanged.
fn module_state(pickled: Object) -> Object {
    let is_module = |built: &Object| match built {
        Object::Reduce { callable, .. } => matches!(
            &**callable,
            Object::Class { module_name, class_name } if module_name == "__torch__" && class_name == "Module"
        ),
        _ => false,
    };
    match pickled {
        Object::Build { callable, args } if is_module(&callable) => *args,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn archive(pickle: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        let stored =
            zip::write::FileOptions::<()>::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("model/data.pkl", stored).unwrap();
        zip.write_all(pickle).unwrap();
        zip.finish().unwrap();
        file
    }

    /// A tuple of two copies of a tuple of two copies, and so on.
    fn doubled(n: usize) -> Vec<u8> {
        let again = [&b"q\x00h\x00\x86"[..]].repeat(n).concat();
        [&b"\x80\x02)"[..], &again, b"."].concat()
    }

    #[test]
    fn a_pickle_that_asks_for_too_much_or_too_little_is_an_error_of_the_file() {
        let mut long = b"\x80\x02X".to_vec();
        long.extend(u32::MAX.to_le_bytes());
        let remembered =
            [&b"\x80\x02X\x00\x00\x10\x00"[..], &[b'a'; 1 << 20], &b"q\x00".repeat(100_000), b"."];
        let args = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n)Rs.";
        for (pickle, found) in [
            (doubled(60), "too much memory"),
            ([b"\x80\x02)".to_vec(), b"\x85".repeat(1_000_000), b".".to_vec()].concat(), "deeper than 64"),
            ([b"\x80\x02)".to_vec(), b"Q".repeat(1_000_000), b".".to_vec()].concat(), "deeper than 64"),
            (b"(".repeat(1_000_000), "cut off"),
            (long, "cut off"),
            (remembered.concat(), "too much memory"),
            (b"\x80\x02t.".to_vec(), "no mark"),
            (b"\x80\x02R.".to_vec(), "without its arguments"),
            (b"\x80\x02q\x00.".to_vec(), "nothing to remember"),
            (b"\x80\x02h\x07.".to_vec(), "remembered under 7"),
            (b"\x80\x02\x8a\x09123456789.".to_vec(), "9 bytes"),
            (b"\x80\x02\xff.".to_vec(), "instruction 255"),
            // Too few arguments for the function that makes tensors: candle panics.
            (args.to_vec(), "the library that reads it fails"),
        ] {
            let file = archive(&pickle);
            let error = TorchFile::open(file.path()).expect_err(found).to_string();
            assert!(error.contains(found), "{found}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()) && error.len() < 600, "{error}");
        }
        assert_eq!(TorchFile::open(archive(&doubled(5)).path()).unwrap().names().count(), 0);
    }

    /// The pickle of a dictionary with one tensor, of two numbers in a storage of this class.
    fn tensor_of(storage: &str) -> Vec<u8> {
        let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let parts = [
            b"\x80\x02}".to_vec(),
            text("mask"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            format!("ctorch\n{storage}\n").into_bytes(),
            [text("0"), text("cpu"), b"K\x02tQK\x00K\x02\x85K\x01\x85\x89NtRs.".to_vec()].concat(),
        ];
        parts.concat()
    }

    #[test]
    fn a_tensor_of_an_unknown_storage_is_named_only_when_it_is_needed() {
        let float = TorchFile::open(archive(&tensor_of("FloatStorage")).path());
        // The archive has no data for it, but only a read of the tensor needs the data.
        assert!(float.is_ok_and(|file| file.info("mask").is_some()));
        for storage in ["BoolStorage", "odd_Storage"] {
            let file = TorchFile::open(archive(&tensor_of(storage)).path()).unwrap();
            assert!(file.info("mask").is_none() && file.get("mask").unwrap().is_none());
            let error = file.unread("mask").unwrap().to_string();
            assert!(error.contains("`mask`") && error.contains("unsupported storage type"), "{error}");
            assert!(error.contains(&storage[..4]) && !error.contains('\u{1b}'), "{error}");
            assert!(file.unread("other").is_none());
        }
    }
}
