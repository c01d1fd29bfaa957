//! Packages and what they depend on, as apt prints them.

/// One version of a package in one suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// The binary package's name.
    pub(crate) name: String,
    /// The full Debian version, with epoch and revision.
    pub(crate) version: String,
    /// The suite it was found in, as it was given to [`AptRoot::update_if_stale`].
    pub(crate) suite: String,
}

/// A package that another one depends on; of alternatives, the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The binary package's name, without an architecture qualifier.
    pub(crate) name: String,
    /// The version, where the dependency asks for exactly one (`=`).
    pub(crate) exact_version: Option<String>,
}

impl Package {
    /// The package and version in apt's `name=version` notation.
    pub(super) fn requirement(&self) -> String {
        format!("{}={}", self.name, self.version)
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
pub(super) fn matches_pattern(name: &str, pattern: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some((_, remaining)) = name.split_once(middle) else {
            return false;
        };
        name = remaining;
        rest = after;
    }
    name.ends_with(rest)
}

/// Reads `apt-cache madison`: lines `name | version | repository`, newest version first.
pub(super) fn parse_madison(table: &str, suite: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for line in table.lines() {
        let mut columns = line.split('|').map(str::trim);
        if let (Some(name), Some(version), Some(repository)) =
            (columns.next(), columns.next(), columns.next())
            && repository.ends_with(" Packages")
        {
            let package = Package {
                name: name.to_owned(),
                version: version.to_owned(),
                suite: suite.to_owned(),
            };
            // The same version can be in the suite and in its security suite.
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    packages
}

/// Reads the dependencies from a package's record.
pub(super) fn parse_depends(record: &str) -> Vec<Dependency> {
    let fields = record.lines().take_while(|line| !line.is_empty());
    fields
        .filter_map(|line| {
            line.strip_prefix("Depends: ")
                .or_else(|| line.strip_prefix("Pre-Depends: "))
        })
        .flat_map(|list| list.split(','))
        .filter_map(|alternatives| parse_dependency(alternatives.split('|').next()?))
        .collect()
}

/// Reads one dependency, such as `linux-binary-7.2+deb14-amd64 (= 7.2.3-1)`.
fn parse_dependency(text: &str) -> Option<Dependency> {
    let name = text.split_whitespace().next()?;
    let exact_version = text
        .split_once("(=")
        .and_then(|(_, after)| after.split_once(')'))
        .map(|(version, _)| version.trim().to_owned());
    Some(Dependency {
        name: name.split(':').next().unwrap_or(name).to_owned(),
        exact_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches_pattern(
            "linux-image-6.1.0-37-amd64",
            "linux-image-6.1.*-amd64"
        ));
        assert!(matches_pattern("gcc-14", "gcc-14"));
        assert!(matches_pattern("a-b-c", "a*b*c"));
        assert!(!matches_pattern(
            "linux-image-6.1.0-37-amd64-dbg",
            "linux-image-6.1.*-amd64"
        ));
        assert!(!matches_pattern("gcc-14-base", "gcc-14"));
        assert!(!matches_pattern("a-c", "a*b*c"));
    }

    #[test]
    fn madison_lines_become_packages_once() {
        let table = "\
linux-image-6.1.0-37-amd64 | 6.1.140-1 | https://mirror.example/debian bookworm/main amd64 Packages
linux-image-6.1.0-37-amd64 | 6.1.140-1 | https://mirror.example/debian-security bookworm-security/main amd64 Packages
     linux | 6.1.140-1 | https://mirror.example/debian bookworm/main Sources
";
        let expected = Package {
            name: "linux-image-6.1.0-37-amd64".to_owned(),
            version: "6.1.140-1".to_owned(),
            suite: "bookworm".to_owned(),
        };
        assert_eq!(parse_madison(table, "bookworm"), [expected]);
    }

    #[test]
    fn dependencies_keep_exact_versions_and_first_alternatives() {
        let record = "\
Package: linux-image-7.2+deb14-amd64
Pre-Depends: dpkg
Depends: linux-binary-7.2+deb14-amd64 (= 7.2.3-1), kmod, initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, gcc-16:amd64
Recommends: apparmor

Package: another
Depends: unrelated
";
        let dependency = |name: &str, exact_version: Option<&str>| Dependency {
            name: name.to_owned(),
            exact_version: exact_version.map(str::to_owned),
        };
        assert_eq!(
            parse_depends(record),
            [
                dependency("dpkg", None),
                dependency("linux-binary-7.2+deb14-amd64", Some("7.2.3-1")),
                dependency("kmod", None),
                dependency("initramfs-tools", None),
                dependency("gcc-16", None),
            ]
        );
    }
}
