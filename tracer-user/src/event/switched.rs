//! What happens beside devres: clocks, regulators and runtime PM are switched, memory is freed.

use super::Hook;

/// What a driver has done by hand, in words; `None` where the function is none of these. `name` is that of the clock or
/// regulator, or of what a pending timer or work item calls.
#[must_use]
pub fn switched(hook: Hook, name: &str) -> Option<String> {
    let (what, how) = match hook {
        Hook::ClkEnable => ("clock", "goes on"),
        Hook::ClkDisable => ("clock", "goes off"),
        Hook::ClkPrepare => ("clock", "is prepared"),
        Hook::ClkUnprepare => ("clock", "is unprepared"),
        Hook::RegulatorEnable => ("regulator", "goes on"),
        Hook::RegulatorDisable => ("regulator", "goes off"),
        Hook::RpmResume => return Some("runtime resume (rpm_resume)".to_owned()),
        Hook::Free => return Some("memory is freed (kfree)".to_owned()),
        Hook::TimerStart => ("a timer that calls", "is pending in what is released next"),
        Hook::QueueWork => ("work that calls", "is queued in what is released next"),
        Hook::RpmSuspend => return Some("runtime suspend (rpm_suspend)".to_owned()),
        _ => return None,
    };
    Some(format!("{what} {name} {how} ({})", hook.symbol()))
}
