//! What was under way when the machine died that a source is of.

use crate::{
    crash::LastMoments,
    engine::{Observer, Summary},
    event::Death,
    model::{Change, Model},
};

/// Watches for what is under way, and says it at the end.
#[derive(Debug)]
pub struct CrashWatch {
    moments: LastMoments,
    death: Option<Death>,
}

impl CrashWatch {
    /// For a source that ends with this death; `None` where nothing says how the machine died.
    #[must_use]
    pub fn new(death: Option<Death>) -> Self {
        Self {
            moments: LastMoments::default(),
            death,
        }
    }
}

impl Observer for CrashWatch {
    fn observe(&mut self, change: &Change, model: &Model) {
        self.moments.observe(change, model);
    }

    fn conclude(&mut self, model: &Model, summary: &mut Summary) {
        let moments = std::mem::take(&mut self.moments);
        summary.crash = Some(moments.finish(model, self.death.take()));
        summary.leave_open();
    }
}
