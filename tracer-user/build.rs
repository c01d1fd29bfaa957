//! Decides which eBPF object the library embeds, and what `--version` says of the build.
//!
//! Ordinarily the object is the one in `ebpf/` for the target's architecture. Where `DEVRES_TRACER_EBPF_OBJECT` is set, it
//! is the object that the variable names: `cargo xtask build --from-source` does so. On an architecture without probes
//! there is none, and the tool traces with `--via tracefs` only.
//!
//! The commit comes from `DEVRES_TRACER_COMMIT`, or else from the package or git.

use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECT_VARIABLE: &str = "DEVRES_TRACER_EBPF_OBJECT";
const COMMIT_VARIABLE: &str = "DEVRES_TRACER_COMMIT";

/// The object is compressed once, as well as can be.
const LEVEL: i32 = 19;

/// Architectures that the probes are built for. All of them are 64-bit and little-endian.
const ARCHITECTURES: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(probes)");
    println!("cargo::rerun-if-env-changed={OBJECT_VARIABLE}");
    println!("cargo::rerun-if-env-changed={COMMIT_VARIABLE}");
    let origin = match object() {
        Ok(Some((path, origin))) => {
            println!("cargo::rerun-if-changed={path}");
            if let Err(message) = compress(&path) {
                println!("cargo::error={message}");
                return;
            }
            println!("cargo::rustc-cfg=probes");
            origin
        }
        Ok(None) => "none, traces with --via tracefs only".to_owned(),
        Err(message) => {
            println!("cargo::error={message}");
            return;
        }
    };
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=DEVRES_TRACER_VERSION={version} ({commit}; probes: {origin})");
}

/// The absolute path of the object to embed, and what `--version` calls it.
fn object() -> Result<Option<(String, String)>, String> {
    let (path, origin) = match env::var(OBJECT_VARIABLE) {
        Ok(path) => (given_object(Path::new(&path))?, "built from source"),
        Err(VarError::NotPresent) => match committed_object()? {
            Some(path) => (path, "committed"),
            None => return Ok(None),
        },
        Err(error) => return Err(format!("{OBJECT_VARIABLE}: {error}")),
    };
    let path = path
        .into_os_string()
        .into_string()
        .map_err(|path| format!("the path {} is not UTF-8", path.display()))?;
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    Ok(Some((path, format!("{arch}, {origin}"))))
}

/// Leaves the object compressed where the library embeds it from: it is a seventh of its size then.
fn compress(path: &str) -> Result<(), String> {
    let object = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let compressed = zstd::bulk::compress(&object, LEVEL).map_err(|error| error.to_string())?;
    let place = Path::new(&variable("OUT_DIR")?).join("probes.zst");
    fs::write(&place, compressed).map_err(|error| format!("{}: {error}", place.display()))
}

/// The commit that is built: as told, or as cargo recorded it in a package, or as git knows it. A build for development
/// does not ask, because it would be built again after each commit.
fn commit() -> Option<String> {
    if let Ok(commit) = env::var(COMMIT_VARIABLE) {
        return Some(commit);
    }
    let directory = env::var("CARGO_MANIFEST_DIR").ok()?;
    if let Ok(packaged) = fs::read_to_string(Path::new(&directory).join(".cargo_vcs_info.json")) {
        let (_, behind) = packaged.split_once("\"sha1\": \"")?;
        return behind.get(..12).map(str::to_owned);
    }
    if env::var("PROFILE").as_deref() != Ok("release") {
        return Some("development build".to_owned());
    }
    if let Some(log) = git(&directory, &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!(
            "cargo::rerun-if-changed={}",
            Path::new(&directory).join(log).display()
        );
    }
    git(&directory, &["rev-parse", "--short=12", "HEAD"])
}

/// What git answers in `directory`.
fn git(directory: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-C", directory])
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
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

/// The committed object for the target, if there are probes for it.
fn committed_object() -> Result<Option<PathBuf>, String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let endian = variable("CARGO_CFG_TARGET_ENDIAN")?;
    if !ARCHITECTURES.contains(&arch.as_str()) || endian != "little" {
        return Ok(None);
    }
    let path = Path::new(&variable("CARGO_MANIFEST_DIR")?)
        .join(format!("ebpf/devres-tracer-probes.{arch}.o"));
    if !path.is_file() {
        return Err(format!(
            "{} is missing: restore it, or write it with `cargo xtask build-ebpf`",
            path.display()
        ));
    }
    Ok(Some(path))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
