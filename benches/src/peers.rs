//! The peers, opened on a directory.

use std::path::Path;

use object_store::local::LocalFileSystem;
use opendal::{Operator, services};
use storehouse_flatfs::{FlatFs, FlatFsOptions};

pub(crate) const STOREHOUSE: &str = "storehouse flatfs";
pub(crate) const OBJECT_STORE: &str = "object_store local";
pub(crate) const OPENDAL: &str = "opendal fs";
pub(crate) const RAW: &str = "raw loop";

pub(crate) async fn flatfs(path: &Path) -> FlatFs {
    FlatFs::open(path, FlatFsOptions::default())
        .await
        .expect("a flatfs")
}

pub(crate) fn object_store(path: &Path) -> LocalFileSystem {
    LocalFileSystem::new_with_prefix(path).expect("a directory")
}

pub(crate) fn opendal(path: &Path) -> Operator {
    let path = path.to_str().expect("a path of UTF-8");
    Operator::new(services::Fs::default().root(path)).expect("a directory")
}
