//! What to run to see the order in which it came to a report.

use crate::{
    event::splat::{Phase, Splat, SplatKind, Story},
    finding::{Subject, UNKNOWN},
};

/// The commands and boot parameters for this case, with the names that are known.
pub(super) fn commands(splat: &Splat, story: &Story<'_>, subject: &Subject) -> Vec<String> {
    let names = Names::of(story, subject);
    if dies(splat) {
        return vec![
            "boot with: trace_event=dev:devres_log tp_printk ignore_loglevel".to_owned(),
            format!("on that kernel: {}", trigger(story, &names)),
            "devres-tracer import console.log   # the log of the serial console or pstore, with the report".to_owned(),
        ];
    }
    let file = names.file();
    vec![
        format!(
            "devres-tracer record -o {file} -- {}",
            trigger(story, &names)
        ),
        format!("devres-tracer trace --from {file}"),
    ]
}

/// Whether nothing can be recorded on a machine beyond it.
fn dies(splat: &Splat) -> bool {
    splat.fatal
        || matches!(
            splat.kind,
            SplatKind::Oops | SplatKind::Abort | SplatKind::Panic | SplatKind::Bug
        )
}

/// The names that can stand in a command.
struct Names<'a> {
    device: Option<&'a str>,
    driver: Option<&'a str>,
    bus: Option<&'a str>,
    module: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn of(story: &Story<'a>, subject: &'a Subject) -> Self {
        Self {
            device: plain(Some(subject.name()).filter(|name| *name != UNKNOWN)),
            driver: plain(subject.driver()),
            bus: plain(subject.bus()).or(story.bus()),
            module: plain(story.module()),
        }
    }

    fn file(&self) -> String {
        let name = self.device.or(self.module).unwrap_or("trace");
        format!("{}.dvrt", name.replace(':', "-"))
    }
}

/// A name that means nothing to a shell. Others are not put into a command.
fn plain(name: Option<&str>) -> Option<&str> {
    name.filter(|name| {
        !name.is_empty()
            && !name.starts_with(['-', '.'])
            && name.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'@')
            })
    })
}

/// What makes it happen again.
fn trigger(story: &Story<'_>, names: &Names<'_>) -> String {
    // A suspend, an ioctl: the stack shows nothing that is to be called.
    if story.phase() == Phase::Unknown && story.release().is_none() {
        return "COMMAND   # what led to the report".to_owned();
    }
    let binds = matches!(story.phase(), Phase::Probe | Phase::FailedProbe);
    match (names.device, names.driver, names.bus, names.module) {
        (Some(device), Some(driver), Some(bus), _) => {
            let file = if binds { "bind" } else { "unbind" };
            format!("sh -c 'echo {device} > /sys/bus/{bus}/drivers/{driver}/{file}'")
        }
        (Some(device), None, _, None) if !binds => {
            format!(
                "sh -c 'd=$(find /sys/devices -name {device} | head -n 1); echo {device} > $d/driver/unbind'"
            )
        }
        (Some(device), Some(_), None, None) if !binds => {
            format!(
                "sh -c 'd=$(find /sys/devices -name {device} | head -n 1); echo {device} > $d/driver/unbind'"
            )
        }
        (_, _, _, Some(module)) if binds => format!("modprobe {module}"),
        (_, _, _, Some(module)) => format!("modprobe -r {module}"),
        _ if binds => "sh -c 'echo DEVICE > /sys/bus/BUS/drivers/DRIVER/bind'".to_owned(),
        _ => "sh -c 'echo DEVICE > /sys/bus/BUS/drivers/DRIVER/unbind'".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_would_run_are_not_put_into_a_command() {
        for name in ["a;b", "$(x)", "a b", "'", "-rf", "", "..", "a\nb", "`x`"] {
            assert_eq!(plain(Some(name)), None, "{name}");
        }
        assert_eq!(plain(Some("0000:00:1f.3")), Some("0000:00:1f.3"));
    }
}
