//! What passes between two ends: a TCP stream, as many small packets as the one can send, and single ones to and fro. Each
//! function says what the receiver saw.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};

use super::ends::{End, SOCKPERF_PORT};

/// Seconds that are measured, each time, and those before that.
const RUNTIME: u32 = 4;
const RAMP: u32 = 1;

/// Bytes of a datagram: its frame is the smallest that there is on Ethernet, 64 bytes.
const DATAGRAM: u32 = 18;

/// Seconds after which a flood that nobody ends does so by itself.
const LONGEST: u32 = 120;

/// Packets after which the sender counts as under way, whatever else comes in.
const UNDER_WAY: u32 = 1000;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Mbit/s of one TCP stream between a client and the iperf3 that serves there.
pub fn stream(client: &End<'_>, server: Ipv4Addr, way: Way) -> anyhow::Result<f64> {
    let reverse = match way {
        Way::Up => "",
        Way::Down => "--reverse",
    };
    let text = client.run(&format!(
        "iperf3 --json --interval 0 --client {server} --time {RUNTIME} --omit {RAMP} {reverse}"
    ))?;
    let report: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("reading iperf3's report: {text}"))?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.with_context(|| format!("iperf3 counted nothing: {text}"))? / 1e6)
}

/// Packets in a second that come in at `to` while `from` sends small datagrams to it, at `address`, as fast as it can.
/// Counted by the interface of who receives, whatever its programs make of them: neither side's word on losses is asked for.
pub fn packets(from: &End<'_>, to: &End<'_>, address: Ipv4Addr) -> anyhow::Result<f64> {
    // Begun before there is anything that it would have to get through.
    let counting = to.begin(&count(to.interface()))?;
    let sender = from.run(&format!(
        "sockperf throughput --no-rdtsc -i {address} -p {SOCKPERF_PORT} -m {DATAGRAM} -t {LONGEST} \
        </dev/null >/dev/null 2>&1 & echo $!"
    ))?;
    let counted = counting.output();
    from.run(&format!("kill {sender}"))?;
    rate(&counted?)
}

/// A script that prints packets and time, twice, once packets come in by the dozen. Words of the shell itself where it counts,
/// as a guest that is flooded starts programs slowly; and /proc, as /sys is not of a shell's own network.
fn count(interface: &str) -> String {
    format!(
        "packets() {{
            while read name bytes packets others; do [ $name = {interface}: ] && echo $packets; done </proc/net/dev
        }}
        first=$(packets); until [ $(packets) -gt $((first + {UNDER_WAY})) ]; do sleep 0.1; done
        both() {{ read up idle </proc/uptime; echo $(packets) $up; }}
        sleep {RAMP}; both; sleep {RUNTIME}; both"
    )
}

/// Packets in a second, by what `count` printed.
fn rate(text: &str) -> anyhow::Result<f64> {
    let words: Vec<f64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [packets, uptime, more, later] = words[..] else {
        anyhow::bail!("a count of packets is four numbers, not {text:?}")
    };
    ensure!(later > uptime, "no time passed while packets were counted: {text:?}");
    Ok((more - packets) / (later - uptime))
}

/// Times in µs that one datagram takes to sockperf's server and back, one after the other: the median, and what 99 % need
/// at most.
pub fn round_trips(client: &End<'_>, server: Ipv4Addr) -> anyhow::Result<[f64; 2]> {
    // Without the CPU's own clock, whose rate sockperf would guess; and not halved, as it has it otherwise.
    percentiles(&client.run(&format!(
        "sockperf ping-pong --no-rdtsc --full-rtt -i {server} -p {SOCKPERF_PORT} -m {DATAGRAM} -t {RUNTIME} 2>&1"
    ))?)
}

/// Those of sockperf's report.
fn percentiles(report: &str) -> anyhow::Result<[f64; 2]> {
    let percentile = |name: &str| -> anyhow::Result<f64> {
        let value = report.lines().find_map(|line| line.split_once(name)?.1.trim().strip_prefix('='));
        let value = value.with_context(|| format!("sockperf says nothing of {name}: {report}"))?;
        value.trim().parse().with_context(|| format!("understanding {value:?}"))
    };
    Ok([percentile("percentile 50.000")?, percentile("percentile 99.000")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_by_the_clock_of_who_counts() {
        assert_eq!(rate("1000 10.50\n5000 14.50\n").expect("two counts"), 1000.0);
        for text in ["", "1000 10.50", "1000 10.50\n5000 10.50", "sh: no such file"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sockperf_is_understood() {
        let report = "sockperf: Summary: Round trip is 8.141 usec\n\
            sockperf: ---> percentile 99.900 =  598.789\nsockperf: ---> percentile 99.000 =   27.761\n\
            sockperf: ---> percentile 50.000 =    5.656\n";
        assert_eq!(percentiles(report).expect("as sockperf writes it"), [5.656, 27.761]);
        assert!(percentiles("sockperf: No messages were received from the server").is_err());
    }
}
