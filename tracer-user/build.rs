//! Decides which eBPF object the library embeds, and tells it through `DEVRES_TRACER_EBPF_OBJECT`.
//!
//! Ordinarily that is the object in `ebpf/` for the target's architecture. Where the environment variable of that name
//! is set, it is the object that the variable names: `cargo xtask build --from-source` does so.

use std::env::{self, VarError};
use std::path::{Path, PathBuf};

const OBJECT_VARIABLE: &str = "DEVRES_TRACER_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={OBJECT_VARIABLE}");
    match object() {
        Ok(path) => {
            println!("cargo::rerun-if-changed={path}");
            println!("cargo::rustc-env={OBJECT_VARIABLE}={path}");
        }
        Err(message) => println!("cargo::error={message}"),
    }
}

/// The absolute path of the object to embed.
fn object() -> Result<String, String> {
    let path = match env::var(OBJECT_VARIABLE) {
        Ok(path) => given_object(Path::new(&path))?,
        Err(VarError::NotPresent) => committed_object()?,
        Err(error) => return Err(format!("{OBJECT_VARIABLE}: {error}")),
    };
    path.into_os_string()
        .into_string()
        .map_err(|path| format!("the path {} is not UTF-8", path.display()))
}

fn given_object(path: &Path) -> Result<PathBuf, String> {
    if !path.is_absolute() {
        return Err(format!(
            "{OBJECT_VARIABLE}={} is a relative path: give an absolute one",
            path.display()
        ));
    }
    if !path.is_file() {
        return Err(format!(
            "{OBJECT_VARIABLE} names {}, which is no file: unset it to embed the committed object",
            path.display()
        ));
    }
    Ok(path.to_owned())
}

fn committed_object() -> Result<PathBuf, String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let endian = variable("CARGO_CFG_TARGET_ENDIAN")?;
    if !matches!(arch.as_str(), "x86_64" | "aarch64") || endian != "little" {
        return Err(format!(
            "devres-tracer runs on x86_64 and little-endian aarch64 only: there are no probes for {arch} ({endian}-endian)"
        ));
    }
    let path = Path::new(&variable("CARGO_MANIFEST_DIR")?)
        .join(format!("ebpf/devres-tracer-probes.{arch}.o"));
    if !path.is_file() {
        return Err(format!(
            "{} is missing: restore it, or write it with `cargo xtask build-ebpf`",
            path.display()
        ));
    }
    Ok(path)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
