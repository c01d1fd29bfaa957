//! What a call means. Both decoders, of the probes' records and of lines of text, yield a [`RawCall`]; one function
//! makes an event of it.

use tracer_ebpf::{Hook, Returns, Role};

use super::{
    Call, CallDetail, EventKind, GroupId, Loss, LossCause, NodeAddress, NodeReference, PmDomain,
    Return,
};

/// The most values known of one call.
const MOST: usize = 5;

/// Whether a function is entered or returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is entered.
    Enter,
    /// It returns.
    Leave,
}

/// A call as a source saw it: its arguments by role, each known or not. The device it is about is kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawCall {
    pub(crate) hook: Hook,
    pub(crate) phase: Phase,
    told: u8,
    roles: [Role; MOST],
    words: [u64; MOST],
}

/// How the calls of a source are to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// The tracepoint reports additions and removals; otherwise functions do.
    pub(crate) logged: bool,
    /// Bytes from a node to its payload, if known.
    pub(crate) payload_offset: Option<u64>,
}

impl RawCall {
    /// A call of which nothing is known yet.
    pub(crate) fn new(hook: Hook, phase: Phase) -> Self {
        Self {
            hook,
            phase,
            told: 0,
            roles: [Role::Returned; MOST],
            words: [0; MOST],
        }
    }

    /// Adds an argument. What is too much for a call is left out.
    pub(crate) fn set(&mut self, role: Role, word: u64) {
        let told = usize::from(self.told);
        let known = self
            .roles
            .iter()
            .take(told)
            .position(|known| *known == role);
        let place = known.unwrap_or(told);
        if let (Some(role_at), Some(word_at)) =
            (self.roles.get_mut(place), self.words.get_mut(place))
        {
            (*role_at, *word_at) = (role, word);
            self.told += u8::from(known.is_none());
        }
    }

    /// What is known of an argument.
    pub(crate) fn get(&self, role: Role) -> Option<u64> {
        let told = self.roles.iter().zip(&self.words);
        told.take(usize::from(self.told))
            .find_map(|(known, word)| (*known == role).then_some(*word))
    }

    /// Everything that is known.
    pub(crate) fn told(&self) -> impl Iterator<Item = (Role, u64)> {
        let told = self.roles.into_iter().zip(self.words);
        told.take(usize::from(self.told))
    }

    /// The device's PM domain, if enough of it is known.
    pub(crate) fn pm(&self) -> Option<PmDomain> {
        let domain = self.get(Role::PmDomain)?;
        let detach = self.get(Role::Detach).or((domain == 0).then_some(0))?;
        Some(PmDomain { domain, detach })
    }

    /// What the call means; `None` if another event reports the same, or nothing has happened.
    pub(crate) fn event(&self, reading: Reading) -> Option<EventKind> {
        match self.phase {
            Phase::Enter => self.entered(reading),
            Phase::Leave => self.left(reading),
        }
    }

    fn entered(&self, reading: Reading) -> Option<EventKind> {
        let hook = self.hook;
        let detail = match hook {
            Hook::ReleaseGroup | Hook::OpenGroup | Hook::CloseGroup | Hook::RemoveGroup => self
                .get(Role::Group)
                .map(|id| CallDetail::Group(GroupId(id))),
            // Without a word on it there is none yet: with one, the function returns at once.
            Hook::PmAttach => Some(CallDetail::Pm(self.pm().unwrap_or_default())),
            Hook::PmDetach | Hook::Probe => self.pm().map(CallDetail::Pm),
            Hook::FreeIrq | Hook::IrqHandler => {
                let told = self.get(Role::Irq).zip(self.get(Role::DevId));
                told.map(|(number, dev_id)| CallDetail::Irq {
                    // An `int` fills half of the register; the other half is not defined.
                    number: u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX),
                    dev_id,
                })
            }
            Hook::Krealloc | Hook::DevresAdd => self.get(Role::Payload).map(CallDetail::Pointer),
            Hook::Free => self.get(Role::Memory).map(CallDetail::Pointer),
            Hook::FreePages => self.get(Role::Pages).map(CallDetail::Pointer),
            Hook::FreePercpu => self.get(Role::Percpu).map(CallDetail::Pointer),
            Hook::Destroy | Hook::Release => self.get(Role::Release).map(|function| {
                let data = self.get(Role::Data).unwrap_or_default();
                CallDetail::Match { function, data }
            }),
            Hook::ReleaseAction if reading.logged => self.get(Role::Action).map(|function| {
                let data = self.get(Role::Data).unwrap_or_default();
                CallDetail::Match { function, data }
            }),
            Hook::ReleaseAction | Hook::RemoveAction if !reading.logged => {
                return Some(match self.get(Role::Action) {
                    Some(function) => EventKind::RemoveAction {
                        function,
                        data: self.get(Role::Data).unwrap_or_default(),
                    },
                    None => UNKNOWN_REMOVAL,
                });
            }
            Hook::Kfree => {
                let payload = self.get(Role::Payload);
                if !reading.logged {
                    let offset = reading.payload_offset;
                    match (payload, offset) {
                        (Some(payload), Some(offset)) => return Some(removed(payload, offset)),
                        (Some(_), None) => {}
                        (None, _) => return Some(UNKNOWN_REMOVAL),
                    }
                }
                payload.map(CallDetail::Pointer)
            }
            // Where nothing reports removals, the count shows how many were not seen. A negative one is an error.
            Hook::ReleaseAll if !reading.logged => self
                .get(Role::Returned)
                .and_then(|count| u32::try_from(count).ok())
                .filter(|count| i32::try_from(*count).is_ok())
                .map(CallDetail::Releases),
            // Removed when it returns. What is added has a record of its own.
            Hook::DevresRemove | Hook::AddDr => return None,
            _ => None,
        };
        let detail = detail.unwrap_or(CallDetail::None);
        Some(EventKind::Enter(Call { hook, detail }))
    }

    fn left(&self, reading: Reading) -> Option<EventKind> {
        let hook = self.hook;
        let returned = self.get(Role::Returned);
        let at_node = |payload: u64| {
            let offset = reading.payload_offset?;
            (payload != 0).then(|| NodeAddress(payload.wrapping_sub(offset)))
        };
        if hook == Hook::DevresRemove {
            // NULL: nothing was found.
            return match returned.filter(|_| !reading.logged) {
                Some(0) => None,
                Some(payload) => reading
                    .payload_offset
                    .map(|offset| removed(payload, offset)),
                None => (!reading.logged).then_some(UNKNOWN_REMOVAL),
            };
        }
        if !hook.is_frame() || hook == Hook::ReleaseAction && !reading.logged {
            return None;
        }
        let value = match hook.description().returns {
            #[expect(clippy::cast_possible_truncation, reason = "the kernel's int")]
            Returns::Int => returned.map(|value| i64::from(value.cast_signed() as i32)),
            Returns::Pointer => returned.map(u64::cast_signed),
            Returns::Nothing => None,
        };
        Some(EventKind::Leave(Return {
            hook,
            value,
            pm: self.pm(),
            node: returned
                .filter(|_| hook == Hook::Krealloc)
                .and_then(at_node),
        }))
    }
}

/// Something was removed, but not which: as good as a lost event.
const UNKNOWN_REMOVAL: EventKind = EventKind::Loss(Loss {
    count: 1,
    cause: LossCause::Input,
});

fn removed(payload: u64, offset: u64) -> EventKind {
    EventKind::Remove(NodeReference {
        node: NodeAddress(payload.wrapping_sub(offset)),
        name: None,
        size: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGGED: Reading = Reading {
        logged: true,
        payload_offset: None,
    };
    const CONCLUDED: Reading = Reading {
        logged: false,
        payload_offset: Some(0x28),
    };

    fn call(hook: Hook, phase: Phase, told: &[(Role, u64)]) -> RawCall {
        let mut call = RawCall::new(hook, phase);
        for (role, word) in told {
            call.set(*role, *word);
        }
        call
    }

    #[test]
    fn an_argument_is_told_or_not() {
        let mut call = call(Hook::PmDetach, Phase::Enter, &[(Role::PmDomain, 7)]);
        assert_eq!(
            (call.get(Role::PmDomain), call.get(Role::Detach)),
            (Some(7), None)
        );
        assert_eq!(call.pm(), None);
        let detail = |call: &RawCall| match call.event(LOGGED) {
            Some(EventKind::Enter(entered)) => entered.detail,
            other => panic!("{other:?}"),
        };
        assert_eq!(detail(&call), CallDetail::None);
        call.set(Role::Detach, 8);
        let pm = PmDomain {
            domain: 7,
            detach: 8,
        };
        assert_eq!(detail(&call), CallDetail::Pm(pm));
        call.set(Role::PmDomain, 0);
        assert_eq!(call.get(Role::PmDomain), Some(0));
    }

    #[test]
    fn a_removal_that_names_nothing_is_a_loss() {
        for (hook, phase) in [
            (Hook::Kfree, Phase::Enter),
            (Hook::RemoveAction, Phase::Enter),
            (Hook::ReleaseAction, Phase::Enter),
            (Hook::DevresRemove, Phase::Leave),
        ] {
            let call = call(hook, phase, &[]);
            assert_eq!(call.event(CONCLUDED), Some(UNKNOWN_REMOVAL), "{hook:?}");
            assert_ne!(call.event(LOGGED), Some(UNKNOWN_REMOVAL), "{hook:?}");
        }
        let found = |returned| {
            call(
                Hook::DevresRemove,
                Phase::Leave,
                &[(Role::Returned, returned)],
            )
            .event(CONCLUDED)
        };
        assert_eq!(found(0), None);
        assert_eq!(found(0x1028), Some(removed(0x1028, 0x28)));
    }

    #[test]
    fn a_release_that_is_concluded_tells_beforehand_how_many_go() {
        let detail = |returned: u64, reading| {
            let call = call(
                Hook::ReleaseAll,
                Phase::Enter,
                &[(Role::Returned, returned)],
            );
            match call.event(reading) {
                Some(EventKind::Enter(entered)) => entered.detail,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(detail(3, CONCLUDED), CallDetail::Releases(3));
        assert_eq!(detail(3, LOGGED), CallDetail::None);
        assert_eq!(detail(0xffff_fff4, CONCLUDED), CallDetail::None);
    }

    #[test]
    fn an_int_is_half_of_the_register() {
        let returned = [(Role::Returned, 0x1234_5678_ffff_fdfb)];
        let Some(EventKind::Leave(left)) = call(Hook::Probe, Phase::Leave, &returned).event(LOGGED)
        else {
            panic!("a probe returns");
        };
        assert_eq!(left.value, Some(-517));
    }
}
