//! Managed interrupts: `struct irq_devres` is what `devm_request_irq` keeps in its resource.

use crate::model::Node;

/// An interrupt's number and the `dev_id` that tells apart those that share it.
pub(super) type Interrupt = (u32, u64);

/// The interrupt that the node stands for, if it is one that `devm_request_irq` added.
pub(super) fn of(node: &Node) -> Option<Interrupt> {
    if !node.is_interrupt() {
        return None;
    }
    let [number, dev_id, ..] = node.payload();
    let number = u32::try_from(number & u64::from(u32::MAX)).ok()?;
    (number != 0).then_some((number, dev_id))
}
