//! Where the workspace and the cache of fetched and built files lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Environment variable that moves the cache out of the target directory, for example to share it between worktrees.
const CACHE_VARIABLE: &str = "DEVRES_TRACER_CACHE";

/// The workspace's root directory.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The directory for everything that is fetched or built once and kept: `$DEVRES_TRACER_CACHE`, or
/// `target/devres-cache` in the workspace. It is created if it is not there.
pub(crate) fn cache() -> Result<PathBuf> {
    let path = std::env::var_os(CACHE_VARIABLE)
        .filter(|value| !value.is_empty())
        .map_or_else(|| root().join("target/devres-cache"), PathBuf::from);
    std::fs::create_dir_all(&path)
        .with_context(|| format!("cannot create the cache {}", path.display()))?;
    path.canonicalize()
        .with_context(|| format!("cannot resolve the cache's path {}", path.display()))
}
