//! Views beside the rules.

use super::Summary;
use crate::{
    event::Event,
    model::{Change, Model},
};

/// Looks at what happens, beside the rules.
pub trait Observer {
    /// Takes in an event before the model does.
    fn event(&mut self, _event: &Event) {}

    /// Takes in what an event has changed. The model is as it is after the whole event.
    fn observe(&mut self, change: &Change, model: &Model);

    /// Nothing comes any more: adds to the summary what there is to say.
    fn conclude(&mut self, _model: &Model, _summary: &mut Summary) {}
}

/// Looks at nothing.
impl Observer for () {
    fn observe(&mut self, _change: &Change, _model: &Model) {}
}

impl<O: Observer> Observer for Option<O> {
    fn event(&mut self, event: &Event) {
        if let Some(observer) = self {
            observer.event(event);
        }
    }

    fn observe(&mut self, change: &Change, model: &Model) {
        if let Some(observer) = self {
            observer.observe(change, model);
        }
    }

    fn conclude(&mut self, model: &Model, summary: &mut Summary) {
        if let Some(observer) = self {
            observer.conclude(model, summary);
        }
    }
}
