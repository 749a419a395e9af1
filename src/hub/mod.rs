//! Models from the Hugging Face hub, kept in the cache that Python's `huggingface_hub` shares.
//!
//! - `repo`: `org/name@revision`, parsed
//! - `settings`: what the environment says: where the cache and the hub are, the token, offline or not
//! - `files`: which of a repo's files make a model
//! - `cache`: the layout on disk: blobs, refs, snapshots, locks
//! - `client`: requests, redirects, and what the hub's refusals mean
//! - `address`, `failure`: whose an address is; which failures are worth another try
//! - `download`: one file: resumed, checked, renamed into place
//! - `snapshot`: all of it: from a repo to a folder
//! - `blob`: a file that is not on the hub, named by git's hash

mod address;
mod blob;
mod cache;
mod client;
mod download;
mod failure;
mod files;
mod repo;
mod settings;
mod snapshot;

pub use blob::{Blob, fetch_blob};
pub use repo::RepoId;
pub use settings::{HubSettings, Token};
pub use snapshot::{Snapshot, snapshot};
