//! Compares allocators, or results from before and after a change, over seeds.
//!
//! # How it judges
//!
//! One seed is one host with one history; how much two hosts differ is chance. Every allocator meets the same hosts, so
//! differences are taken seed by seed before anything is averaged, and what the hosts have in common cancels out.
//!
//! Shown are medians with the exact interval of order statistics (at least 95 %), and a difference counts when that
//! interval of the paired differences leaves out 0, which is the two-sided sign test at 5 %. Both ask nothing of the
//! distribution: split counts are skewed, bounded by 0 and often equal, where the signed-rank test wants symmetric
//! differences without ties, and a bootstrap of a median is known to be rough. The price is power, and power is bought
//! with seeds, which cost a fraction of a second each. Interval and verdict come from the same numbers, so they never
//! contradict each other. No random numbers are drawn.

mod pairs;
mod statistics;

pub use pairs::{Comparison, MetricRows, NothingToCompare, Row, compare_allocators, compare_results};
pub use statistics::{Difference, LEAST_PAIRS, Summary, Verdict};
