//! Everything that is wrong with a trace, not only the first thing.

use super::{EventSource, TraceReader};
use crate::diagnostics::Diagnostic;

/// Events read at once.
const BATCH: usize = 4096;

/// What a trace was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceCheck {
    /// Good events.
    pub events: u64,
    /// Lines, the header and empty ones among them.
    pub lines: u64,
    /// The first problems, in the order of the lines.
    pub problems: Vec<Diagnostic>,
    /// Problems that are not listed.
    pub more_problems: u64,
    /// The trace's hash (see [`TraceReader::hash`]); `None` if it could not be read to its end.
    pub hash: Option<u128>,
}

impl TraceCheck {
    /// Reads the whole trace and lists up to `limit` problems.
    pub fn run(mut reader: TraceReader, limit: usize) -> Self {
        let mut check = Self::default();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            let read = reader.next_batch(&mut batch, BATCH);
            check.events += batch.len() as u64;
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    let fatal = error.is_fatal();
                    if check.problems.len() < limit {
                        check.problems.push(error.into());
                    } else {
                        check.more_problems += 1;
                    }
                    if fatal {
                        break;
                    }
                }
            }
        }
        check.lines = reader.line();
        check.hash = reader.hash();
        check
    }

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.more_problems == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_listed_up_to_the_limit() {
        let text = "\
            {\"fragsim_trace\":1}\n\
            {\"time_ns\":5,\"unload\":{\"id\":1}}\n\
            {\"time_ns\":4,\"load\":{\"id\":1,\"image_bytes\":[1]}}\n\
            {\"time_ns\":4,\"load\":{\"id\":1,\"image_bytes\":[1]}}\n\
            {\"time_ns\":4,\"load\":{\"id\":2,\"image_bytes\":[0]}}\n\
            {\"time_ns\":4,\"load\":{\"id\":3,\"image_bytes\":[8]}}\n\
            {\"time_ns\":4,\"loa";
        let run = |limit| TraceCheck::run(TraceReader::from_reader("t", text.as_bytes()).unwrap(), limit);
        let check = run(100);
        let lines: Vec<_> = check.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7]);
        assert_eq!((check.events, check.lines, check.more_problems), (1, 7, 0));
        assert!(check.hash.is_some() && !check.is_good());
        let short = run(2);
        assert_eq!((short.problems.len(), short.more_problems), (2, 3));
    }
}
