//! A folder of an object store: `s3://`, `gs://`, `az://`, or `file://` for tests.

use crate::error::{Error, Result};
use crate::shown::{address_without_secrets, without_secrets};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// Number of bytes of a file that are read or uploaded at a time.
pub(super) const BLOCK: usize = 1 << 23;

/// Number of parts of a file that are uploaded in parallel.
const AT_ONCE: usize = 4;

/// A folder in an object store. Objects are written completely or not at all.
#[derive(Clone)]
pub(super) struct ObjectFolder {
    store: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    folder: Key,
    /// The address of the folder, as the user gave it, without keys and passwords.
    address: String,
}

/// The prefixes of the environment variables that configure an object store, in lower case.
///
/// The library also accepts names without a prefix, which are not passed on: an unrelated `TOKEN` would be sent to the
/// provider, and an unrelated `ENDPOINT` would redirect the activations.
const PROVIDERS: [&str; 3] = ["aws_", "azure_", "google_"];

/// The environment variables that configure an object store, with their names in lower case.
fn options(variables: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    let texts = variables.filter_map(|(name, value)| {
        Some((name.into_string().ok()?.to_ascii_lowercase(), value.into_string().ok()?))
    });
    texts.filter(|(name, _)| PROVIDERS.iter().any(|provider| name.starts_with(provider)))
}

impl std::fmt::Debug for ObjectFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl ObjectFolder {
    /// Opens the folder at an address; keys, regions and endpoints come from the environment, under the names that
    /// the providers' own tools read, such as `AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed address, or an unusable key.
    pub(super) fn open(address: &str) -> Result<ObjectFolder> {
        let wrong = |found: String| {
            let expected = "s3://bucket/folder, gs://…, az://… or file:///folder, and the provider's usual \
                            environment variables";
            // The library's message may repeat parts of the address, in lower case.
            let found = match address_without_secrets(address) {
                public if public == address => format!("{public}: {found}"),
                public => format!("{public}, which cannot be used"),
            };
            Error::invalid("address of activations", found, expected)
        };
        // This fails only if the calling program has already installed a crypto provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = Url::parse(address).map_err(|e| wrong(e.to_string()))?;
        let (store, folder) = object_store::parse_url_opts(&url, options(std::env::vars_os()))
            .map_err(|e| wrong(e.to_string()))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| wrong(e.to_string()))?;
        // The path of a file may contain an `@`.
        let address = match url.scheme() {
            "file" => without_secrets(address).into_owned(),
            _ => address_without_secrets(address),
        };
        let address = address.trim_end_matches('/').to_string();
        Ok(ObjectFolder { store: Arc::from(store), runtime: Arc::new(runtime), folder, address })
    }

    /// A folder within this one.
    pub(super) fn below(&self, folder: &str) -> ObjectFolder {
        let below = folder.split('/').fold(self.folder.clone(), |key, part| key.join(part));
        ObjectFolder { folder: below, address: format!("{}/{folder}", self.address), ..self.clone() }
    }

    /// The address of an object, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.address.clone().into() } else { format!("{}/{name}", self.address).into() }
    }

    /// The names of the objects and folders in this one, in order.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let listed = self.wait(self.store.list_with_delimiter(Some(&self.folder)));
        let listed = listed.map_err(|e| self.failed("list", "", e))?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let mut names: Vec<String> = objects
            .chain(&listed.common_prefixes)
            .filter_map(|key| key.filename().map(String::from))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The length of an object; `None` if there is none.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.wait(self.store.head(&self.folder.clone().join(name))) {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("get the size of", name, e)),
        }
    }

    /// Reads a whole object.
    pub(super) fn load(&self, name: &str) -> Result<Vec<u8>> {
        let key = self.folder.clone().join(name);
        let read = self.wait(async { self.store.get(&key).await?.bytes().await });
        Ok(read.map_err(|e| self.failed("read", name, e))?.to_vec())
    }

    /// Reads a range of an object's bytes. The range must begin before the object's end; if it ends after, fewer
    /// bytes are returned.
    pub(super) fn load_part(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let key = self.folder.clone().join(name);
        let read = self.wait(self.store.get_range(&key, range));
        Ok(read.map_err(|e| self.failed("read", name, e))?.to_vec())
    }

    /// Writes a small object.
    pub(super) fn save(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let key = self.folder.clone().join(name);
        let written = self.wait(self.store.put(&key, bytes.to_vec().into()));
        written.map(drop).map_err(|e| self.failed("write", name, e))
    }

    /// Writes a file as an object, part by part.
    pub(super) fn upload(&self, from: &Path, name: &str) -> Result<()> {
        let mut file = File::open(from).map_err(Error::io("read", from))?;
        let key = self.folder.clone().join(name);
        let failed = |e| self.failed("write", name, e);
        self.wait(async {
            let upload = self.store.put_multipart(&key).await.map_err(failed)?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, BLOCK);
            let mut block = Vec::with_capacity(BLOCK);
            loop {
                block.clear();
                let read = file.by_ref().take(BLOCK as u64).read_to_end(&mut block);
                let ready = writer.wait_for_capacity(AT_ONCE).await;
                if let Err(error) = read.map_err(Error::io("read", from)).and(ready.map_err(failed)) {
                    // If this fails, the object store deletes the uploaded parts later, by its own rules.
                    let _ = writer.abort().await;
                    return Err(error);
                }
                if block.is_empty() {
                    return writer.finish().await.map(drop).map_err(failed);
                }
                writer.write(&block);
            }
        })
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn failed(&self, action: &'static str, name: &str, error: object_store::Error) -> Error {
        Error::io(action, self.path(name))(std::io::Error::other(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_variables_reach_the_store() {
        let all = [
            ("AWS_ACCESS_KEY_ID", true),
            ("aws_region", true),
            ("AZURE_STORAGE_ACCOUNT_NAME", true),
            ("GOOGLE_SERVICE_ACCOUNT", true),
            ("TOKEN", false),
            ("ENDPOINT", false),
            ("REGION", false),
            ("BUCKET", false),
            ("ALLOW_HTTP", false),
            ("PROXY_URL", false),
            ("MY_AWS_REGION", false),
            ("SAS_TOKEN", false),
        ];
        let given = all.iter().map(|(name, _)| (OsString::from(name), OsString::from("x")));
        let found: Vec<String> = options(given).map(|(name, _)| name).collect();
        let expected: Vec<String> =
            all.iter().filter(|(_, is_taken)| *is_taken).map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn no_message_and_no_place_shows_a_key_in_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("file://KEY:SECRET@localhost{}?sig=SECRET", folder.path().display());
        for address in
            [address.as_str(), "s3://KEY:SECRET@bucket/a", "s3://KEY:SEC/RET@", "x://KEY:SECRET@b?SECRET"]
        {
            let shown = match ObjectFolder::open(address) {
                Ok(open) => format!("{open:?} {} {:?}", open.path("x").display(), open.below("m/d").path("")),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("SECRET") && !shown.contains("RET@"), "{shown}");
        }
    }
}
