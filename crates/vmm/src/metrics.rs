//! The counters of the machine as Prometheus text (exposition format 0.0.4). Read from what vCPUs and queues count
//! anyway; rendering costs them nothing.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use devices::virtio::QueueMetrics;
use devices::virtio::metrics::LATENCY_BOUNDS_US;
use devices::virtio::net::{DhcpCounts, GuardCounts, MetadataCounts, ServiceHandles};
use vmm_api::{VmInfo, VmState};

use crate::vcpu::{EXIT_NAMES, ExitCounts};

/// What is counted in a machine; starts anew with each boot and reset.
#[derive(Default)]
pub struct Sources {
    /// By vCPU number.
    pub vcpus: Vec<Arc<ExitCounts>>,
    /// By device: its name and its queues.
    pub devices: Vec<(String, Vec<Arc<QueueMetrics>>)>,
    /// By network interface: what it does besides.
    pub nics: Vec<ServiceHandles>,
}

/// The counters of whatever machine there is.
#[derive(Default)]
pub struct Metrics {
    sources: Mutex<Sources>,
}

impl Metrics {
    /// Counts this machine from now on.
    pub fn set(&self, sources: Sources) {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// Everything as text.
    pub fn render(&self, info: &VmInfo) -> String {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        render_machine(&mut text, info);
        render_exits(&mut text, &sources.vcpus);
        render_queues(&mut text, &sources.devices);
        render_services(&mut text, &sources.nics);
        text
    }
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn render_machine(text: &mut String, info: &VmInfo) {
    header(text, "bothy_vmm_running", "gauge", "1 while vCPUs run.");
    let _ = writeln!(text, "bothy_vmm_running {}", u8::from(info.state == VmState::Running));
    header(text, "bothy_vmm_uptime_seconds", "gauge", "Time since the machine was last built.");
    let _ = writeln!(text, "bothy_vmm_uptime_seconds {}.{:03}", info.uptime_ms / 1000, info.uptime_ms % 1000);
    header(text, "bothy_vmm_boots_total", "counter", "Times the machine was built in this process.");
    let _ = writeln!(text, "bothy_vmm_boots_total {}", info.boots);
}

fn render_exits(text: &mut String, vcpus: &[Arc<ExitCounts>]) {
    header(text, "bothy_vmm_exits_total", "counter", "Exits to user space by vCPU and kind.");
    for (vcpu, counts) in vcpus.iter().enumerate() {
        for (kind, count) in EXIT_NAMES.iter().zip(counts.get()) {
            let _ = writeln!(text, "bothy_vmm_exits_total{{vcpu=\"{vcpu}\",kind=\"{kind}\"}} {count}");
        }
    }
}

/// A counter's label and value.
type Labelled<'a> = (&'static str, &'a AtomicU64);

/// Each metric of the services: a row for each interface that has the service.
fn render_services(text: &mut String, nics: &[ServiceHandles]) {
    let mut render = |name: &str, kind, label, help, counts: fn(&ServiceHandles) -> Vec<Labelled<'_>>| {
        header(text, name, kind, help);
        for (index, nic) in nics.iter().enumerate() {
            for (value, count) in counts(nic) {
                let count = count.load(Relaxed);
                let labels = if value.is_empty() { String::new() } else { format!(",{label}=\"{value}\"") };
                let _ = writeln!(text, "{name}{{device=\"net{index}\"{labels}}} {count}");
            }
        }
    };
    render(
        "bothy_vmm_dhcp_messages_total",
        "counter",
        "outcome",
        "DHCP messages of the guest by what became of them; dropped: answers it did not take.",
        |nic| nic.dhcp.as_deref().map(dhcp).unwrap_or_default(),
    );
    render(
        "bothy_vmm_guard_dropped_total",
        "counter",
        "reason",
        "Packets that the guest did not send in its own name.",
        |nic| nic.guard.as_deref().map(guard).unwrap_or_default(),
    );
    render(
        "bothy_vmm_metadata_open_connections",
        "gauge",
        "",
        "Connections of the guest to its metadata service.",
        |nic| nic.metadata.as_deref().map(|metadata| vec![("", &metadata.counts.open)]).unwrap_or_default(),
    );
    render(
        "bothy_vmm_metadata_connections_total",
        "counter",
        "outcome",
        "Connections of the guest to its metadata service: opened, and what became of those that were not served.",
        |nic| nic.metadata.as_deref().map(|metadata| connections(&metadata.counts)).unwrap_or_default(),
    );
    render(
        "bothy_vmm_metadata_packets_total",
        "counter",
        "outcome",
        "Packets of the guest to its metadata service: taken, answered by ARP, and dropped for what reason.",
        |nic| nic.metadata.as_deref().map(|metadata| packets(&metadata.counts)).unwrap_or_default(),
    );
}

fn dhcp(counts: &DhcpCounts) -> Vec<Labelled<'_>> {
    vec![
        ("answered", &counts.answered),
        ("refused", &counts.refused),
        ("ignored", &counts.ignored),
        ("declined", &counts.declined),
        ("malformed", &counts.malformed),
        ("dropped", &counts.dropped),
    ]
}

fn guard(counts: &GuardCounts) -> Vec<Labelled<'_>> {
    vec![
        ("mac", &counts.mac),
        ("ipv4", &counts.ipv4),
        ("arp", &counts.arp),
        ("ipv6", &counts.ipv6),
        ("other", &counts.other),
        ("malformed", &counts.malformed),
    ]
}

fn connections(counts: &MetadataCounts) -> Vec<Labelled<'_>> {
    vec![
        ("opened", &counts.opened),
        ("refused", &counts.refused),
        ("too_many", &counts.too_many),
        ("timed_out", &counts.timed_out),
    ]
}

fn packets(counts: &MetadataCounts) -> Vec<Labelled<'_>> {
    vec![
        ("taken", &counts.packets),
        ("arp", &counts.arp),
        ("not_tcp", &counts.not_tcp),
        ("malformed", &counts.malformed),
        ("overflow", &counts.overflow),
    ]
}

/// Gets one counter of a queue.
type Counter = fn(&QueueMetrics) -> u64;

/// Name, help and counter, a row a metric.
const QUEUE_COUNTERS: [(&str, &str, Counter); 8] = [
    ("bothy_vmm_queue_requests_total", "Requests done, packets moved.", |queue| queue.requests.load(Relaxed)),
    ("bothy_vmm_queue_bytes_total", "Payload bytes moved.", |queue| queue.bytes.load(Relaxed)),
    ("bothy_vmm_queue_writes_total", "Requests that wrote to a disk.", |queue| queue.writes.load(Relaxed)),
    ("bothy_vmm_queue_written_bytes_total", "Bytes written to a disk.", |queue| queue.written.load(Relaxed)),
    ("bothy_vmm_queue_errors_total", "Requests that the host failed.", |queue| queue.errors.load(Relaxed)),
    ("bothy_vmm_queue_malformed_total", "Descriptor chains against the specification.", |queue| {
        queue.malformed.load(Relaxed)
    }),
    ("bothy_vmm_queue_kicks_total", "Notifications by the driver.", |queue| queue.kicks.load(Relaxed)),
    ("bothy_vmm_queue_interrupts_total", "Interrupts sent to the driver.", |queue| {
        queue.interrupts.load(Relaxed)
    }),
];

fn render_queues(text: &mut String, devices: &[(String, Vec<Arc<QueueMetrics>>)]) {
    let queues = || {
        devices.iter().flat_map(|(device, queues)| {
            queues
                .iter()
                .enumerate()
                .map(move |(index, queue)| (format!("device=\"{device}\",queue=\"{index}\""), queue))
        })
    };
    for (name, help, counter) in QUEUE_COUNTERS {
        header(text, name, "counter", help);
        for (labels, queue) in queues() {
            let _ = writeln!(text, "{name}{{{labels}}} {}", counter(queue));
        }
    }
    let name = "bothy_vmm_queue_latency_seconds";
    header(text, name, "histogram", "Time of a request from taken off the ring to put back.");
    for (labels, queue) in queues() {
        let mut total = 0;
        for (bucket, count) in queue.latency.iter().enumerate() {
            total += count.load(Relaxed);
            let bound =
                LATENCY_BOUNDS_US.get(bucket).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
        }
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", queue.latency_ns.load(Relaxed) as f64 / 1e9);
        let _ = writeln!(text, "{name}_count{{{labels}}} {total}");
    }
}

#[cfg(test)]
mod tests {
    use devices::virtio::net::Metadata;

    use super::*;

    #[test]
    fn services_are_counted_by_interface() {
        let (dhcp, guard) = (Arc::new(DhcpCounts::default()), Arc::new(GuardCounts::default()));
        dhcp.refused.store(3, Relaxed);
        guard.arp.store(4, Relaxed);
        let metadata = Metadata { hop_limit: 64.into(), counts: MetadataCounts::default() };
        metadata.counts.open.store(5, Relaxed);
        let nics = [
            ServiceHandles { guard: Some(guard), ..ServiceHandles::default() },
            ServiceHandles { dhcp: Some(dhcp), metadata: Some(Arc::new(metadata)), guard: None },
        ];
        let mut text = String::new();
        render_services(&mut text, &nics);
        for line in [
            "bothy_vmm_dhcp_messages_total{device=\"net1\",outcome=\"refused\"} 3",
            "bothy_vmm_guard_dropped_total{device=\"net0\",reason=\"arp\"} 4",
            "bothy_vmm_metadata_open_connections{device=\"net1\"} 5",
        ] {
            assert!(text.lines().any(|other| other == line), "no {line} in {text}");
        }
        assert_eq!(text.lines().count(), 5 * 2 + 6 + 6 + 1 + 4 + 5);
    }
}
