//! Counters of this API and of the node as Prometheus text (exposition format 0.0.4). Labels are of the contract's names and
//! of known numbers only, so that no caller can make more of them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compute::capacity::Amounts;
use compute::compute::Counts;
use native_api::{ErrorBody, Operation};

use super::answer::{self, Answer};
use super::errors::OrRefuse;
use super::{Call, states};

/// Bounds of the latencies' buckets, in microseconds.
const BUCKETS_US: [u64; 10] = [500, 1000, 2500, 5000, 10_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// Statuses that are counted by themselves; the last is for every other.
const STATUSES: [u16; 20] =
    [101, 200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503, 507, 0];

/// The counters.
pub struct Metrics {
    /// By operation, and one more for what has no route.
    operations: Vec<Counters>,
}

#[derive(Default)]
struct Counters {
    statuses: [AtomicU64; STATUSES.len()],
    /// Not added up: each has those that are in no bucket before.
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let operations = (0..=Operation::ALL.len()).map(|_| Counters::default()).collect();
        Self { operations }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn note(&self, operation: Option<Operation>, status: u16, took: Duration) {
        let index = operation.map_or(Operation::ALL.len(), |operation| operation as usize);
        let Some(counters) = self.operations.get(index) else { return };
        let status = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|bound| took <= *bound);
        counters.statuses[status].fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = bucket {
            counters.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        counters.count.fetch_add(1, Ordering::Relaxed);
        counters.sum_us.fetch_add(took, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let name = |index: usize| Operation::ALL.get(index).map_or("none", |operation| operation.as_str());
        let asked = || {
            let all = self.operations.iter().enumerate();
            all.filter(|(_, counters)| counters.count.load(Ordering::Relaxed) > 0)
        };
        head(text, "bothy_api_requests_total", "counter", "Requests by operation and HTTP status.")?;
        for (index, counters) in asked() {
            for (status, count) in STATUSES.iter().zip(&counters.statuses) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let operation = name(index);
                    writeln!(
                        text,
                        "bothy_api_requests_total{{operation=\"{operation}\",status=\"{status}\"}} {count}"
                    )?;
                }
            }
        }
        let metric = "bothy_api_request_seconds";
        head(text, metric, "histogram", "Time from a request's head to its answer's.")?;
        for (index, counters) in asked() {
            let (operation, mut sum) = (name(index), 0);
            for (bound, count) in BUCKETS_US.iter().zip(&counters.buckets) {
                sum += count.load(Ordering::Relaxed);
                let bound = seconds(*bound);
                writeln!(text, "{metric}_bucket{{operation=\"{operation}\",le=\"{bound}\"}} {sum}")?;
            }
            // Never less than its buckets, though they are counted one after the other.
            let count = counters.count.load(Ordering::Relaxed).max(sum);
            writeln!(text, "{metric}_bucket{{operation=\"{operation}\",le=\"+Inf\"}} {count}")?;
            let total = seconds(counters.sum_us.load(Ordering::Relaxed));
            writeln!(text, "{metric}_sum{{operation=\"{operation}\"}} {total}")?;
            writeln!(text, "{metric}_count{{operation=\"{operation}\"}} {count}")?;
        }
        Ok(())
    }
}

/// Microseconds as seconds, exactly.
fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// GetMetrics.
pub async fn get(call: &Call<'_>) -> Result<Answer, ErrorBody> {
    let counts = call.compute().counts().await.or_refuse()?;
    let (capacity, used) = call.compute().capacity();
    let mut text = String::with_capacity(16 << 10);
    call.inner.metrics.write(&mut text).expect("a text takes all that is written");
    write_node(&mut text, &counts, capacity, used).expect("a text takes all that is written");
    Ok(answer::bytes("text/plain; version=0.0.4; charset=utf-8", text))
}

fn write_node(text: &mut String, counts: &Counts, capacity: Amounts, used: Amounts) -> std::fmt::Result {
    head(text, "bothy_instances", "gauge", "Instances by state.")?;
    let mut instances: Vec<_> = counts
        .instances
        .iter()
        .filter_map(|(state, count)| Some((states::word(&states::instance(*state))?, *count)))
        .collect();
    instances.sort();
    for (state, count) in instances {
        writeln!(text, "bothy_instances{{state=\"{state}\"}} {count}")?;
    }
    head(text, "bothy_jobs_running", "gauge", "Jobs that are being done.")?;
    writeln!(text, "bothy_jobs_running {}", counts.jobs)?;
    let amounts = [("capacity", "What may be promised.", capacity), ("used", "What is promised.", used)];
    for (name, help, amounts) in amounts {
        let name = format!("bothy_node_{name}");
        head(text, &name, "gauge", help)?;
        let of = [
            ("instances", amounts.instances),
            ("vcpus", amounts.vcpus),
            ("memory_mib", amounts.memory_mib),
            ("disk_gib", amounts.disk_gib),
        ];
        for (of, amount) in of {
            // Prometheus has no other word for no limit.
            let amount = if amount == u64::MAX { "+Inf".to_owned() } else { amount.to_string() };
            writeln!(text, "{name}{{of=\"{of}\"}} {amount}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_numbered_as_they_are_listed() {
        for (index, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(*operation as usize, index);
        }
    }

    #[test]
    fn requests_are_counted_in_buckets_that_add_up() {
        let metrics = Metrics::default();
        metrics.note(Some(Operation::GetHealth), 200, Duration::from_micros(400));
        metrics.note(Some(Operation::GetHealth), 200, Duration::from_millis(4));
        metrics.note(Some(Operation::GetHealth), 418, Duration::from_secs(60));
        metrics.note(None, 404, Duration::ZERO);
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        for line in [
            "bothy_api_requests_total{operation=\"GetHealth\",status=\"200\"} 2",
            "bothy_api_requests_total{operation=\"GetHealth\",status=\"0\"} 1",
            "bothy_api_requests_total{operation=\"none\",status=\"404\"} 1",
            "bothy_api_request_seconds_bucket{operation=\"GetHealth\",le=\"0.000500\"} 1",
            "bothy_api_request_seconds_bucket{operation=\"GetHealth\",le=\"0.005000\"} 2",
            "bothy_api_request_seconds_bucket{operation=\"GetHealth\",le=\"5.000000\"} 2",
            "bothy_api_request_seconds_bucket{operation=\"GetHealth\",le=\"+Inf\"} 3",
            "bothy_api_request_seconds_sum{operation=\"GetHealth\"} 60.004400",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
