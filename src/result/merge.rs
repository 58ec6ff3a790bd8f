//! Puts results of one scenario together, such as those of several machines with different seeds.

use thiserror::Error;

use super::document::ResultDoc;
use crate::units::Seeds;

/// Why results cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MergeError {
    /// There is nothing to put together.
    #[error("there is no result")]
    None,
    /// Two results have this run.
    #[error("the allocator `{allocator}` with seed {seed} is in two results")]
    Twice {
        /// What the scenario calls the allocator.
        allocator: String,
        /// The seed.
        seed: u64,
    },
}

impl ResultDoc {
    /// The result that one replay with all seeds of these would have given, to the byte: by allocator, in the order of
    /// the first result, then by seed. That they are of one scenario, trace and version is for the caller to see to.
    ///
    /// # Errors
    /// [`MergeError`] if there are none, or two have the same allocator and seed.
    pub fn merge(results: Vec<Self>) -> Result<Self, MergeError> {
        let labels: Vec<String> =
            results.first().ok_or(MergeError::None)?.allocators().into_iter().map(str::to_owned).collect();
        // The stamp tells the smallest seed too.
        let first = results.iter().min_by_key(|result| result.scenario.seeds.first()).ok_or(MergeError::None)?;
        let (fragsim, tlb, mut scenario) = (first.fragsim.clone(), first.tlb.clone(), first.scenario.clone());
        let seeds = results.iter().flat_map(|result| result.scenario.seeds.as_slice()).copied();
        scenario.seeds = Seeds::of(seeds).ok_or(MergeError::None)?;
        let mut runs: Vec<_> = results.into_iter().flat_map(|result| result.runs).collect();
        let place = |name: &str| labels.iter().position(|label| label == name).unwrap_or(labels.len());
        runs.sort_by(|one, other| {
            let key = |run: &super::Run| (place(&run.allocator), run.seed);
            key(one).cmp(&key(other)).then_with(|| one.allocator.cmp(&other.allocator))
        });
        let same = |pair: &[super::Run]| pair[0].allocator == pair[1].allocator && pair[0].seed == pair[1].seed;
        match runs.windows(2).find(|pair| same(pair)) {
            Some(pair) => Err(MergeError::Twice { allocator: pair[0].allocator.clone(), seed: pair[0].seed }),
            None => Ok(Self { fragsim, tlb, ..Self::new(scenario, runs) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::two_runs;

    fn with_seed(seed: u64) -> ResultDoc {
        let mut result = two_runs();
        result.scenario.seeds = Seeds::one(seed);
        result.runs.iter_mut().for_each(|run| run.seed = seed);
        result
    }

    #[test]
    fn runs_stand_by_allocator_and_then_by_seed() {
        let merged = ResultDoc::merge(vec![with_seed(7), with_seed(2)]).unwrap();
        let runs: Vec<_> = merged.runs.iter().map(|run| (run.allocator.as_str(), run.seed)).collect();
        assert_eq!(runs, [("per-prog", 2), ("per-prog", 7), ("pack-4k", 2), ("pack-4k", 7)]);
        assert_eq!(merged.scenario.seeds.to_string(), "2,7");
        assert_eq!(ResultDoc::merge(vec![two_runs()]), Ok(two_runs()));
    }

    #[test]
    fn a_run_that_is_there_twice_is_refused() {
        let twice = ResultDoc::merge(vec![with_seed(2), with_seed(7), with_seed(2)]);
        assert_eq!(twice, Err(MergeError::Twice { allocator: "per-prog".to_owned(), seed: 2 }));
        assert_eq!(ResultDoc::merge(Vec::new()), Err(MergeError::None));
    }
}
