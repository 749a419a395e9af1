//! Models from the Hugging Face hub, in a cache shared with Python's `huggingface_hub`.
//!
//! - `repo`: `org/name@revision`, parsed
//! - `settings`: the settings in environment variables: cache, hub, token, offline mode
//! - `files`: the files of a repo that make up a model
//! - `cache`: the layout on disk: blobs, refs, snapshots, locks
//! - `client`: requests, redirects, and the meaning of the hub's refusals
//! - `address`: origins, redirects and quoted names; `failure`: failures, and the retries of transient ones
//! - `download`: the download of one file: resumed, checked, renamed into place; `least_rate`: its limits;
//!   `plain_file`: no planted link is written through
//! - `snapshot`: all files of a repo in a folder
//! - `blob`: a file outside the hub, identified by git's hash

mod address;
mod blob;
mod cache;
mod client;
mod download;
mod failure;
mod files;
mod least_rate;
mod plain_file;
mod repo;
mod settings;
mod snapshot;

pub use blob::{Blob, fetch_blob};
pub use least_rate::TransferLimits;
pub use repo::RepoId;
pub use settings::{HubSettings, Token};
pub use snapshot::{Snapshot, snapshot};
