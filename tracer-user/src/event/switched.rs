//! What happens beside devres: clocks, regulators and runtime PM are switched, memory is freed, in which something may be pending
//! or registered.

use super::Hook;

/// What lies in managed memory when that goes, and is still known to the kernel there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it is: `a timer that calls acme_poll`.
    pub what: String,
    /// What is wrong with it: `pending`.
    pub state: &'static str,
}

/// What this hook reports before memory goes; `None` for all others. `name` is what it calls, or its number.
#[must_use]
pub fn registered(hook: Hook, name: &str) -> Option<Registered> {
    let (what, state) = match hook {
        Hook::TimerStart if name == "delayed_work_timer_fn" => {
            ("delayed work".to_owned(), "queued")
        }
        Hook::TimerStart => (format!("a timer that calls {name}"), "pending"),
        Hook::QueueWork => (format!("work that calls {name}"), "queued"),
        Hook::CdevAdd => (format!("character device {name}"), "registered or open"),
        Hook::RawNotifier | Hook::BlockingNotifier | Hook::AtomicNotifier | Hook::SrcuNotifier => {
            (format!("a notifier that calls {name}"), "registered")
        }
        Hook::InputRegister => (format!("an input handler with {name}"), "registered"),
        _ => return None,
    };
    Some(Registered { what, state })
}

/// What a driver has done by hand, in words; `None` where the function is none of these. `name` is that of the clock or
/// regulator, or of what is [`registered`].
#[must_use]
pub fn switched(hook: Hook, name: &str) -> Option<String> {
    if let Some(Registered { what, state }) = registered(hook, name) {
        return Some(format!(
            "{what} is {state} in what is released next ({})",
            hook.symbol()
        ));
    }
    let (what, how) = match hook {
        Hook::ClkEnable => ("clock", "goes on"),
        Hook::ClkDisable => ("clock", "goes off"),
        Hook::ClkPrepare => ("clock", "is prepared"),
        Hook::ClkUnprepare => ("clock", "is unprepared"),
        Hook::RegulatorEnable => ("regulator", "goes on"),
        Hook::RegulatorDisable => ("regulator", "goes off"),
        Hook::RpmResume => return Some("runtime resume (rpm_resume)".to_owned()),
        Hook::Free => return Some("memory is freed (kfree)".to_owned()),
        Hook::RpmSuspend => return Some("runtime suspend (rpm_suspend)".to_owned()),
        _ => return None,
    };
    Some(format!("{what} {name} {how} ({})", hook.symbol()))
}
