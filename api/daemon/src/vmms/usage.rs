//! What a machine used, out of the VMM's counters and of what the kernel says of its process.

use compute::id::{Id, Instance};
use compute::outside::{HostError, MachineMetrics};
use rustix::param::{clock_ticks_per_second, page_size};
use vmm_api::VmInfo;

use super::Vmms;

impl Vmms {
    /// What a machine that runs used until now.
    ///
    /// # Errors
    ///
    /// None runs.
    pub async fn usage(&self, instance: Id<Instance>) -> Result<MachineMetrics, HostError> {
        let text = self.metrics(instance).await?;
        let info = self.ask_running("ask for its threads", self.client(instance).info()).await?;
        let mut usage = MachineMetrics {
            cpu_ms: cpu_ms(&info),
            memory_bytes: memory(info.pids.vmm),
            ..Default::default()
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            count(&mut usage, line);
        }
        // What did not write has read.
        usage.disk_reads = usage.disk_reads.saturating_sub(usage.disk_writes);
        usage.disk_read_bytes = usage.disk_read_bytes.saturating_sub(usage.disk_write_bytes);
        Ok(usage)
    }
}

/// Adds one of the VMM's counters. Network interfaces have two queues: the guest receives by the first.
fn count(usage: &mut MachineMetrics, line: &str) {
    let Some((name, value)) = line.rsplit_once(' ') else { return };
    let Ok(value) = value.parse::<u64>() else { return };
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    let is_net = labels.contains("device=\"net");
    let is_disk = !is_net && !labels.contains("device=\"rng");
    let receives = labels.contains("queue=\"0\"");
    let counter = match name {
        "bothy_vmm_queue_requests_total" if is_net && receives => &mut usage.net_receive_packets,
        "bothy_vmm_queue_requests_total" if is_net => &mut usage.net_send_packets,
        "bothy_vmm_queue_requests_total" if is_disk => &mut usage.disk_reads,
        "bothy_vmm_queue_bytes_total" if is_net && receives => &mut usage.net_receive_bytes,
        "bothy_vmm_queue_bytes_total" if is_net => &mut usage.net_send_bytes,
        "bothy_vmm_queue_bytes_total" if is_disk => &mut usage.disk_read_bytes,
        "bothy_vmm_queue_writes_total" => &mut usage.disk_writes,
        "bothy_vmm_queue_written_bytes_total" => &mut usage.disk_write_bytes,
        _ => return,
    };
    *counter = counter.saturating_add(value);
}

/// Time that the threads of its vCPUs ran. A thread that is gone meanwhile counts as nothing.
fn cpu_ms(info: &VmInfo) -> u64 {
    let ticks = |thread: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{}/task/{thread}/stat", info.pids.vmm)).ok()?;
        // The name, in brackets, may have anything in it (proc(5)).
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Some(times.next()?.ok()? + times.next()?.ok()?)
    };
    let ticks: u64 = info.pids.vcpus.iter().filter_map(ticks).sum();
    ticks.saturating_mul(1000) / clock_ticks_per_second().max(1)
}

/// Memory that a process has resident, in bytes.
fn memory(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages.saturating_mul(page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_where_they_belong() {
        let mut usage = MachineMetrics::default();
        for line in [
            "bothy_vmm_running 1",
            "bothy_vmm_queue_requests_total{device=\"vol-1a2b3c4d\",queue=\"0\"} 10",
            "bothy_vmm_queue_writes_total{device=\"vol-1a2b3c4d\",queue=\"0\"} 4",
            "bothy_vmm_queue_requests_total{device=\"net0\",queue=\"0\"} 3",
            "bothy_vmm_queue_bytes_total{device=\"net0\",queue=\"1\"} 700",
            "bothy_vmm_queue_requests_total{device=\"rng\",queue=\"0\"} 99",
            "bothy_vmm_queue_latency_seconds_sum{device=\"net0\",queue=\"1\"} 0.5",
        ] {
            count(&mut usage, line);
        }
        let expected = MachineMetrics {
            disk_reads: 10,
            disk_writes: 4,
            net_receive_packets: 3,
            net_send_bytes: 700,
            ..MachineMetrics::default()
        };
        assert_eq!(usage, expected);
    }
}
