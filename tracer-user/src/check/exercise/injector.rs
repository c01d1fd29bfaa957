//! What makes probes fail, got ready in the first way that the kernel allows.

use super::{
    Roots, fail_module::FailModule, fail_probe::FailWay, failslab::Failslab, machine::Machine,
};

/// What makes probes fail, ready to.
#[derive(Debug)]
pub(super) enum Injector {
    /// `fail-nth`, with failslab set for it.
    FailNth(Failslab),
    /// eBPF, which the machine has attached.
    Bpf,
    /// The module `devres_fail`.
    Module {
        /// It was not loaded before.
        loaded_here: bool,
    },
}

impl Injector {
    /// The first of these ways that is possible; else why none is.
    pub(super) fn get_ready(
        ways: &[FailWay],
        roots: &Roots,
        machine: &dyn Machine,
    ) -> Result<Self, String> {
        let mut reasons = Vec::new();
        for way in ways {
            let ready = match way {
                FailWay::FailNth => Failslab::set(roots).map(Self::FailNth),
                FailWay::Bpf => machine.attach_failing().map(|()| Self::Bpf),
                FailWay::Module => Self::load(roots, machine),
            };
            match ready {
                Ok(injector) => return Ok(injector),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!(
            "nothing can be made to fail in a probe: {}",
            reasons.join("; ")
        ))
    }

    fn load(roots: &Roots, machine: &dyn Machine) -> Result<Self, String> {
        let module = FailModule::module();
        let loaded_here = !module.is_loaded(roots);
        if loaded_here && let Err(error) = machine.load(&module) {
            let name = module.name;
            return Err(format!(
                "the module {name} is not loaded, and can't be: {error}"
            ));
        }
        Ok(Self::Module { loaded_here })
    }

    /// Which way it is.
    pub(super) fn way(&self) -> FailWay {
        match self {
            Self::FailNth(_) => FailWay::FailNth,
            Self::Bpf => FailWay::Bpf,
            Self::Module { .. } => FailWay::Module,
        }
    }

    /// Lets nothing fail any more, and leaves everything as it was.
    pub(super) fn end(&self, machine: &dyn Machine) -> Result<(), String> {
        match self {
            Self::FailNth(failslab) => failslab.restore(),
            Self::Bpf => {
                machine.detach_failing();
                Ok(())
            }
            Self::Module { loaded_here: true } => machine.unload(&FailModule::module()),
            Self::Module { loaded_here: false } => machine.fail_nothing(),
        }
    }
}
