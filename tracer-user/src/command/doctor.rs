//! `devres-tracer doctor`.

use std::io::{self, Write};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Exit,
    by_itself::ByItself,
    pager::unless_unread,
    rules::{one_of_each, optional_hooks},
    start_cost::StartCost,
};
use crate::{
    escape::{Escaped, Visible},
    event::Hook,
    evidence::{Before, Coverage, HookState, NodeEvents},
    kernel::Kernel,
    rules::RuleSet,
    sink::{json::First, json_text},
    source::live::{Live, Options},
};

/// Checks what can be traced on this kernel, and why not the rest
///
/// Exit code 0: everything; 3: with gaps; 4: nothing.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Write one JSON object
    #[arg(long)]
    json: bool,
    /// Show how long each step of the start takes, and how much memory it takes
    #[arg(long)]
    timing: bool,
}

/// What was found out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "doctor")]
pub(super) struct Diagnosis {
    kernel: Kernel,
    /// Why nothing can be traced, if so.
    impossible: Option<String>,
    /// Whether the probes can keep from being preempted.
    uninterrupted: Option<bool>,
    /// Milliseconds from the start until everything was attached and the snapshot taken.
    start_milliseconds: u128,
    /// What the start cost, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<StartCost>,
    coverage: Option<Coverage>,
    /// What the kernel can record by itself.
    by_itself: ByItself,
    /// Rules that can't decide on this kernel.
    undecided_rules: Vec<UndecidedRule>,
}

/// A rule that can't decide on this kernel.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct UndecidedRule {
    rule: &'static str,
    /// What it misses: of each list one would do.
    missing: Vec<Vec<String>>,
}

impl UndecidedRule {
    fn needs(&self) -> String {
        one_of_each(&self.missing)
    }
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let began = std::time::Instant::now();
        let options = Options {
            optional: optional_hooks(),
            ..Options::default()
        };
        let live = Live::start(&options);
        let (coverage, impossible) = match &live {
            Ok(live) => (Some(live.coverage().clone()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let diagnosis = Diagnosis {
            kernel: Kernel::running(),
            uninterrupted: live.as_ref().ok().map(Live::is_uninterrupted),
            undecided_rules: coverage.as_ref().map(undecided_rules).unwrap_or_default(),
            start_milliseconds: began.elapsed().as_millis(),
            start: live
                .as_ref()
                .ok()
                .filter(|_| self.timing)
                .map(|live| StartCost::of(live, &options)),
            coverage,
            by_itself: ByItself::of_running_kernel(),
            impossible,
        };
        let mut writer = io::stdout().lock();
        if self.json {
            unless_unread(
                json_text::write(&mut writer, &First::of(&diagnosis))
                    .and_then(|()| writeln!(writer)),
            )?;
        } else {
            unless_unread(diagnosis.write(&mut writer))?;
        }
        Ok(match &diagnosis.coverage {
            None => Exit::CouldNotRun,
            Some(coverage) if is_full(coverage) => Exit::Clean,
            Some(_) => Exit::Inconclusive,
        })
    }
}

fn is_full(coverage: &Coverage) -> bool {
    !coverage.missing().any(|(hook, _)| !hook.is_optional())
        && coverage.before == Before::Snapshot
        && coverage.nodes == NodeEvents::Logged
}

fn undecided_rules(coverage: &Coverage) -> Vec<UndecidedRule> {
    let mut undecided: Vec<UndecidedRule> = Vec::new();
    for (info, gap) in RuleSet::checked().undecided(coverage) {
        let symbol = |hook: &Hook| match gap.role {
            Some(role) => format!("{} with {}", hook.symbol(), role.name()),
            None => hook.symbol().to_owned(),
        };
        let symbols: Vec<_> = gap.any.iter().map(symbol).collect();
        match undecided.last_mut().filter(|last| last.rule == info.id) {
            Some(rule) => rule.missing.push(symbols),
            None => undecided.push(UndecidedRule {
                rule: info.id,
                missing: vec![symbols],
            }),
        }
    }
    undecided
}

/// How each hook is attached, or why it isn't.
fn write_hooks(coverage: &Coverage, writer: &mut impl Write) -> io::Result<()> {
    writeln!(writer, "\nhooks")?;
    for entry in &coverage.hooks {
        let symbol = entry.hook.symbol();
        match &entry.state {
            HookState::Attached(way) if entry.hook.is_optional() => {
                writeln!(writer, "  {symbol:<34} {way}, only with --with {symbol}")?;
            }
            HookState::Attached(way) => writeln!(writer, "  {symbol:<34} {way}")?,
            HookState::NotNeeded(reason) => {
                writeln!(writer, "  {symbol:<34} not needed: {reason}")?;
            }
            HookState::Missing(_) => {}
        }
    }
    for (reason, hooks) in missing_by_reason(coverage) {
        writeln!(writer, "\nMISSING: {}", Escaped(reason))?;
        for hook in hooks {
            let without = hook.description().without;
            writeln!(writer, "  {:<34} without it: {without}", hook.symbol())?;
        }
    }
    Ok(())
}

/// Hooks that are missing for one reason, in the order of the first.
fn missing_by_reason(coverage: &Coverage) -> Vec<(&str, Vec<Hook>)> {
    let mut reasons: Vec<(&str, Vec<Hook>)> = Vec::new();
    for entry in &coverage.hooks {
        let HookState::Missing(reason) = &entry.state else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, hooks)) => hooks.push(entry.hook),
            None => reasons.push((reason, vec![entry.hook])),
        }
    }
    reasons
}

impl Diagnosis {
    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        writeln!(writer, "{}\n", self.verdict())?;
        let yes_or_no = |fact| if fact { "yes" } else { "no" };
        writeln!(
            writer,
            "kernel         {} ({})",
            self.kernel.release, self.kernel.machine
        )?;
        writeln!(writer, "BTF            {}", yes_or_no(self.kernel.btf))?;
        writeln!(
            writer,
            "lockdown       {}",
            self.kernel
                .lockdown
                .as_deref()
                .unwrap_or("unknown (no lockdown in this kernel, or securityfs is not mounted)")
        )?;
        writeln!(
            writer,
            "capabilities   {}",
            self.kernel.capabilities_in_words()
        )?;
        let Some(coverage) = &self.coverage else {
            return self.by_itself.write(writer, true);
        };
        self.write_reach(coverage, writer)?;
        write_hooks(coverage, writer)?;
        for undecided in &self.undecided_rules {
            writeln!(
                writer,
                "\n{} can't decide on this kernel: it needs {}",
                undecided.rule,
                undecided.needs()
            )?;
        }
        self.by_itself.write(writer, false)
    }

    /// What tracing sees, and what it takes.
    fn write_reach(&self, coverage: &Coverage, writer: &mut impl Write) -> io::Result<()> {
        let before = match &coverage.before {
            Before::Snapshot => "read from the kernel's memory",
            Before::Nothing => "nothing existed",
            Before::Unknown(reason) => reason,
        };
        writeln!(writer, "existing       {before}")?;
        let nodes = match coverage.nodes {
            NodeEvents::Logged => "the kernel logs each one",
            NodeEvents::Concluded => {
                "inferred from the functions that add and release (this kernel has no devres_log tracepoint)"
            }
        };
        writeln!(writer, "resources      {nodes}")?;
        let preemption = match self.uninterrupted {
            Some(true) => "disabled while a probe runs",
            _ => {
                "not disabled (no bpf_preempt_disable): a preemptible kernel may skip a probe, which counts as loss"
            }
        };
        writeln!(writer, "preemption     {preemption}")?;
        writeln!(writer, "start          {} ms", self.start_milliseconds)?;
        if let Some(start) = &self.start {
            start.write(writer)?;
        }
        Ok(())
    }

    /// What it comes to, in a line.
    fn verdict(&self) -> String {
        match &self.coverage {
            None => format!(
                "Nothing can be traced with BPF: {}",
                Visible(self.impossible.as_deref().unwrap_or_default())
            ),
            Some(coverage) if is_full(coverage) => "Everything can be traced.".to_owned(),
            Some(_) => {
                "Tracing works, with the gaps named below: verdicts that depend on them are \
                         inconclusive (exit code 3)."
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Attachment, HookCoverage};

    /// A kernel on which these are missing for one reason.
    fn without(missing: &[Hook]) -> Coverage {
        let state = |hook| {
            if missing.contains(&hook) {
                HookState::Missing("no such function".to_owned())
            } else {
                HookState::Attached(Attachment::Fentry)
            }
        };
        Coverage {
            hooks: Hook::ALL
                .into_iter()
                .map(|hook| HookCoverage {
                    hook,
                    state: state(hook),
                })
                .collect(),
            ..Coverage::default()
        }
    }

    #[test]
    fn what_is_needed_together_is_told_from_what_would_do() {
        let coverage = without(&[Hook::Remove, Hook::Unbind, Hook::ReleaseAll]);
        let undecided = undecided_rules(&coverage);
        let dr010 = undecided.iter().find(|one| one.rule == "DR010").unwrap();
        let words = dr010.needs();
        assert_eq!(
            words,
            "(device_remove or device_release_driver_internal) and devres_release_all"
        );
    }

    #[test]
    fn one_reason_is_told_once() {
        let coverage = without(&[Hook::Remove, Hook::Unbind]);
        let reasons = missing_by_reason(&coverage);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert_eq!(reasons[0].1.len(), 2);
    }
}
