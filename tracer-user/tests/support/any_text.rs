//! Reads and judges a text of any bytes: reading ends, every line is counted, and every event can be judged.

use std::{io::BufReader, sync::Arc};

use devres_tracer::{
    engine::Engine,
    rules::RuleSet,
    source::text::{self, ImportError, Statistics},
};

/// All that came of it, in words.
pub(crate) fn read(input: &[u8]) -> String {
    let lines = lines(input);
    let of = |statistics: &Statistics| {
        let counted = statistics.event_lines + statistics.other_lines;
        assert_eq!((statistics.lines, counted), (lines, lines));
    };
    let import = match text::read(input) {
        Ok(import) => import,
        Err(error) => {
            match &error {
                ImportError::Empty => assert_eq!(lines, 0),
                ImportError::NoEvents { statistics } => {
                    of(statistics);
                    assert_eq!(statistics.event_lines, 0);
                }
                ImportError::Unusable(_) => assert!(lines > 0),
                ImportError::Unnamed { statistics } => {
                    of(statistics);
                    assert!(statistics.unnamed > 0);
                }
                ImportError::Read(error) => panic!("{error}"),
            }
            return error.to_string();
        }
    };
    of(import.statistics());
    // Of a buffer that never has a whole line, none is passed over without a look.
    let slowly = match text::read(BufReader::with_capacity(1, input)) {
        Ok(slowly) => slowly,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(slowly.statistics(), import.statistics());
    assert_eq!(slowly.coverage(), import.coverage());
    assert!(slowly.events().eq(import.events()));
    assert!(import.events().eq(import.events()));
    let mut engine = Engine::new(Arc::new(import.coverage().clone()), RuleSet::all());
    for event in import.events() {
        engine.apply(&event);
    }
    format!(
        "{:?} {:?} {:?}",
        import.statistics(),
        import.death(),
        engine.finish()
    )
}

/// How many lines these are: a carriage return ends one where text follows it.
fn lines(input: &[u8]) -> u64 {
    let ends = |at: usize| match input[at] {
        b'\n' => true,
        b'\r' => input
            .get(at + 1)
            .is_some_and(|next| !matches!(next, b'\n' | b'\r' | 0)),
        _ => false,
    };
    let ended = (0..input.len()).filter(|at| ends(*at)).count();
    let unended = input.len().checked_sub(1).is_some_and(|last| !ends(last));
    ended as u64 + u64::from(unended)
}
