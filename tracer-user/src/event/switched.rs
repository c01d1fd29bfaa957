//! What is switched beside devres: clocks, regulators, runtime PM.

use super::Hook;

/// What a driver has switched by hand, in words; `None` where the function switches nothing. `name` is that of the clock
/// or regulator.
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
        Hook::RpmSuspend => return Some("runtime suspend (rpm_suspend)".to_owned()),
        _ => return None,
    };
    Some(format!("{what} {name} {how} ({})", hook.symbol()))
}
