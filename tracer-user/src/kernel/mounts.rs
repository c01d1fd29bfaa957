//! What is mounted.

/// Something that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The numbers of the device.
    pub numbers: String,
    /// Which directory of the file system.
    pub root: String,
    /// Where.
    pub point: String,
    /// The kind of file system.
    pub kind: String,
    /// What is mounted, in the words of the file system.
    pub source: String,
    /// Its own options.
    pub options: String,
}

/// Everything that is mounted, in the words of `/proc/PID/mountinfo` (proc(5)).
#[must_use]
pub fn mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (before, behind) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(2);
            let mut behind = behind.split(' ');
            Some(Mount {
                numbers: before.next()?.to_owned(),
                root: before.next()?.to_owned(),
                point: before.next()?.to_owned(),
                kind: behind.next()?.to_owned(),
                source: behind.next()?.to_owned(),
                options: behind.next().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}
