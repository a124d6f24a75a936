//! How long each of many things took, and how many were done in what time. Their figures are held against aims.

use std::time::Duration;

use super::table::{Better, Table};

/// How long each of many things took.
#[derive(Default)]
pub struct Times(pub Vec<Duration>);

impl Times {
    /// The time within which this share of them were done, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }

    /// Adds p50 and p99 to the table; `aim` is for p99, in seconds.
    pub fn add(&self, table: &mut Table, name: &str, aim: Option<f64>) {
        self.add_two(table, name, ("p99", 99), aim);
    }

    /// Adds p50 and the worst, for things that are few; `aim` is for the worst, in seconds.
    pub fn add_few(&self, table: &mut Table, name: &str, aim: Option<f64>) {
        self.add_two(table, name, ("worst", 100), aim);
    }

    fn add_two(&self, table: &mut Table, name: &str, (high, percent): (&str, usize), aim: Option<f64>) {
        table.add_aimed(&format!("{name}: p50"), "ms", Better::Less, self.percentile(50), None);
        let aim = aim.map(|aim| aim * 1000.0);
        table.add_aimed(&format!("{name}: {high}"), "ms", Better::Less, self.percentile(percent), aim);
    }
}

/// What several clients did for some time.
pub struct Load {
    pub times: Times,
    pub took: Duration,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.times.0.len() as f64 / self.took.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = |ms: &[u64]| Times(ms.iter().copied().map(Duration::from_millis).collect());
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((times(&hundred).percentile(50), times(&hundred).percentile(99)), (50.0, 99.0));
        assert_eq!((times(&[7]).percentile(50), times(&[7]).percentile(99)), (7.0, 7.0));
        assert_eq!((times(&[3, 1, 2]).percentile(50), times(&[3, 1, 2]).percentile(100)), (2.0, 3.0));
    }
}
