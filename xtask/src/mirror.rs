//! Which Debian mirror to fetch from: the one the machine's apt is configured for, or one that was asked for.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::command;

/// Environment variable with the address of a Debian mirror, for machines whose apt is not configured for Debian.
const MIRROR_VARIABLE: &str = "DEVRES_TRACER_DEBIAN_MIRROR";

/// Suites by which a Debian source is recognised when its lists, which name their origin, are not on the machine.
const DEBIAN_RELEASES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The addresses of a Debian archive, without a slash at the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// The archive with the ordinary suites.
    archive: String,
    /// The archive with the security suites, if one is known.
    security: Option<String>,
}

impl Mirror {
    /// The mirror `wanted`; failing that the one in `$DEVRES_TRACER_DEBIAN_MIRROR`; failing that the one in the
    /// machine's apt sources.
    pub(crate) fn find(wanted: Option<&str>) -> Result<Self> {
        if let Some(address) = wanted {
            return Self::from_address(address);
        }
        if let Some(address) = std::env::var(MIRROR_VARIABLE)
            .ok()
            .filter(|address| !address.is_empty())
        {
            return Self::from_address(&address);
        }
        // apt itself reads both formats of its sources. Without downloaded lists the origin is not known, only the
        // name of the suite.
        let format = "$(REPO_URI) $(RELEASE) $(ORIGIN) $(LABEL)";
        for options in [&[][..], &["--no-release-info"][..]] {
            let targets = command::output(
                Command::new("apt-get")
                    .args(["indextargets", "--format", format])
                    .args(options),
            )?;
            if let Some(mirror) = Self::from_index_targets(&targets) {
                return Ok(mirror);
            }
        }
        bail!(
            "this machine's apt is not configured for a Debian mirror: name one with --mirror URL or \
             {MIRROR_VARIABLE}=URL (the directory that holds `dists` and `pool`)"
        );
    }

    /// The mirror at `address`, with the security archive beside it.
    fn from_address(address: &str) -> Result<Self> {
        let archive = address.trim_end_matches('/');
        ensure!(
            archive.contains(":/"),
            "the Debian mirror `{address}` is not a URL: give the directory that holds `dists` and `pool`"
        );
        Ok(Self {
            archive: archive.to_owned(),
            security: Some(format!("{archive}-security")),
        })
    }

    /// Reads lines of repository address, suite, origin and label, the latter two possibly missing.
    fn from_index_targets(targets: &str) -> Option<Self> {
        let mut archive = None;
        let mut security = None;
        for line in targets.lines() {
            let mut words = line.split_whitespace();
            let (Some(address), Some(release)) = (words.next(), words.next()) else {
                continue;
            };
            let is_debian = match words.next() {
                Some(origin) if !origin.starts_with("$(") => origin == "Debian",
                _ => DEBIAN_RELEASES.contains(&release.split('-').next().unwrap_or(release)),
            };
            if !is_debian || address.starts_with("cdrom:") {
                continue;
            }
            let kind = if release.ends_with("-security") {
                &mut security
            } else {
                &mut archive
            };
            kind.get_or_insert_with(|| address.trim_end_matches('/').to_owned());
        }
        Some(Self {
            archive: archive?,
            security,
        })
    }

    /// The sources list for `suite`, with its security suite where there is one.
    pub(crate) fn sources_list(&self, suite: &str, keyring: &Path, architecture: &str) -> String {
        let options = format!("arch={architecture} signed-by={}", keyring.display());
        let source =
            |archive: &str, suite: &str| format!("deb [{options}] {archive} {suite} main\n");
        let mut list = source(&self.archive, suite);
        // Backports, sid and experimental have no security suite.
        if let ("bullseye" | "bookworm" | "trixie", Some(security)) = (suite, &self.security) {
            list.push_str(&source(security, &format!("{suite}-security")));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_tells_debian_from_others() {
        let targets = "\
https://other.example/apt nodistro Other .
https://mirror.example/debian/ bookworm Debian Debian
https://mirror.example/debian-security/ bookworm-security Debian Debian-Security
";
        let expected = Mirror {
            archive: "https://mirror.example/debian".to_owned(),
            security: Some("https://mirror.example/debian-security".to_owned()),
        };
        assert_eq!(Mirror::from_index_targets(targets), Some(expected));
    }

    #[test]
    fn without_lists_the_suite_tells_debian() {
        let targets = "\
cdrom://disc/ trixie
https://mirror.example/debian/ trixie-updates $(ORIGIN) $(LABEL)
";
        let expected = Mirror {
            archive: "https://mirror.example/debian".to_owned(),
            security: None,
        };
        assert_eq!(Mirror::from_index_targets(targets), Some(expected));
    }

    #[test]
    fn an_ubuntu_machine_has_no_debian_mirror() {
        let targets = "https://mirror.example/ubuntu/ noble Ubuntu Ubuntu\nhttps://mirror.example/ubuntu/ noble-updates\n";
        assert_eq!(Mirror::from_index_targets(targets), None);
    }

    #[test]
    fn only_suites_that_have_security_updates_ask_for_them() {
        let mirror = Mirror::from_address("https://mirror.example/debian/").expect("a URL");
        let keyring = Path::new("/keys.gpg");
        assert_eq!(
            mirror.sources_list("sid", keyring, "amd64"),
            "deb [arch=amd64 signed-by=/keys.gpg] https://mirror.example/debian sid main\n"
        );
        let trixie = mirror.sources_list("trixie", keyring, "amd64");
        assert!(
            trixie.contains("https://mirror.example/debian-security trixie-security main\n"),
            "{trixie}"
        );
    }

    #[test]
    fn a_host_name_is_not_enough() {
        assert!(Mirror::from_address("mirror.example/debian").is_err());
    }
}
