//! The control socket of the real program: who may come in, what is refused and how, and that nothing a client does hurts
//! the others or stays behind. Boots no Linux; what needs KVM says so when it is skipped.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod process;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use process::{Process, Reply, SOON, check_refusal, refused};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vmm_api::{ClientError, ErrorCode, EventKind, ExitReason, NicUpdate, VmConfig, VmInfo, VmState};

/// A configuration that is fine until it is booted.
fn config() -> Value {
    json!({"vcpus": 1, "memory": {"size_mib": 64}, "boot": {"kernel": {"kernel": "/no/such/kernel"}}})
}

fn parse(config: &Value) -> VmConfig {
    serde_json::from_value(config.clone()).unwrap()
}

#[track_caller]
fn refusal(result: Result<VmInfo, ClientError>, code: ErrorCode) -> String {
    match result {
        Err(ClientError::Refused(error)) => {
            check_refusal(&error, code);
            error.message
        }
        other => panic!("{other:?} instead of {code:?}"),
    }
}

fn kvm_is_missing() -> bool {
    let missing = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err();
    if missing {
        eprintln!("SKIPPED in part: this needs /dev/kvm");
    }
    missing
}

#[tokio::test]
async fn the_socket_is_private_taken_once_and_removed_at_the_end() {
    let mut vmm = Process::start().await;
    let socket = vmm.client.path().to_owned();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o600);

    let second = refused(&socket);
    assert!(!second.status.success());
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains("another process listens"), "{message}");
    assert_eq!(vmm.client.info().await.unwrap().state, VmState::Empty, "the first goes on");

    vmm.crash_and_restart().await;
    assert!(vmm.terminate().success());
    assert!(!socket.exists());

    let file = vmm.dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(!refused(&file).status.success());
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(
        String::from_utf8(refused(&vmm.dir.path().join("x".repeat(108))).stderr)
            .unwrap()
            .contains("at most 107")
    );
}

#[tokio::test]
async fn malformed_requests_are_told_what_is_wrong() {
    use ErrorCode::{InvalidConfig, MalformedRequest, MethodNotAllowed, NotFound, OutOfMemory, WrongState};
    let vmm = Process::start().await;
    let changed = |change: fn(&mut Value)| {
        let mut config = config();
        change(&mut config);
        config.to_string()
    };
    let deep = format!("{{\"vcpus\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("GET /", String::new(), NotFound, "/"),
        ("GET /v1/vm/", String::new(), NotFound, "/v1/vm/"),
        ("DELETE /v1/vm", String::new(), MethodNotAllowed, "DELETE"),
        ("GET /v1/vm/boot", String::new(), MethodNotAllowed, "GET"),
        ("GET /v1/vm?x=1", String::new(), MalformedRequest, "x"),
        ("GET /v1/vm/events?since=abc", String::new(), MalformedRequest, "abc"),
        ("GET /v1/vm/events?since=1&since=2", String::new(), MalformedRequest, "twice"),
        ("GET /v1/vm/console?offset=-1", String::new(), MalformedRequest, "-1"),
        ("POST /v1/vm/boot", "{}".into(), MalformedRequest, "no body"),
        ("POST /v1/vm/boot", String::new(), WrongState, "configuration"),
        ("POST /v1/vm/pause", String::new(), WrongState, "configuration"),
        ("POST /v1/vm/resume", String::new(), WrongState, "configuration"),
        ("POST /v1/vm/power-button", String::new(), WrongState, "configuration"),
        ("POST /v1/vm/reset", String::new(), WrongState, "configuration"),
        ("POST /v1/vm/kill", String::new(), WrongState, "configuration"),
        ("PATCH /v1/vm/nics/0", r#"{"metadata_hop_limit":2}"#.into(), WrongState, "configuration"),
        ("PATCH /v1/vm/nics/0", "{}".into(), MalformedRequest, "metadata_hop_limit"),
        ("PATCH /v1/vm/nics/0", r#"{"metadata_hop_limit":256}"#.into(), MalformedRequest, "256"),
        ("PATCH /v1/vm/nics/x", r#"{"metadata_hop_limit":2}"#.into(), NotFound, "/v1/vm/nics/x"),
        ("GET /v1/vm/nics/0", String::new(), MethodNotAllowed, "GET"),
        ("PUT /v1/vm", String::new(), MalformedRequest, "no body"),
        ("PUT /v1/vm", "{\n \"vcpus\": }".into(), MalformedRequest, "line 2 column 11"),
        ("PUT /v1/vm", "{} {}".into(), MalformedRequest, "missing field `vcpus`"),
        ("PUT /v1/vm", config().to_string() + "x", MalformedRequest, "trailing characters"),
        ("PUT /v1/vm", deep, MalformedRequest, "vcpus"),
        ("PUT /v1/vm", changed(|vm| vm["cpus"] = 1.into()), MalformedRequest, "unknown field `cpus`"),
        (
            "PUT /v1/vm",
            changed(|vm| vm["memory"]["size_mib"] = "1".into()),
            MalformedRequest,
            "memory.size_mib",
        ),
        (
            "PUT /v1/vm",
            changed(|vm| vm["nics"] = json!([{"tap": {"name": "t"}, "mac": "1"}])),
            MalformedRequest,
            "MAC",
        ),
        ("PUT /v1/vm", changed(|vm| vm["vcpus"] = 0.into()), InvalidConfig, "vCPUs"),
        ("PUT /v1/vm", changed(|vm| vm["memory"]["size_mib"] = u64::MAX.into()), OutOfMemory, "MiB"),
        ("PUT /v1/vm", changed(|vm| vm["boot"] = json!({"disk": {}})), InvalidConfig, "disk"),
    ];
    for (line, body, code, word) in cases {
        let reply = vmm.ask(line, &body);
        let message = reply.refusal(code).message;
        assert!(message.contains(word), "{line}: {message:?} lacks {word:?}");
    }
    assert!(vmm.ask("DELETE /v1/vm", "").head.contains("allow: get, put\r\n"));
    let upgrade =
        "GET /v1/vm/console HTTP/1.1\r\nHost: vm\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    vmm.exchange(upgrade).refusal(MalformedRequest);
    let with_body = "GET /v1/vm/console HTTP/1.1\r\nHost: vm\r\nConnection: upgrade\r\nUpgrade: bothy-console\r\n\
                     Content-Length: 1\r\n\r\nx";
    vmm.exchange(with_body).refusal(MalformedRequest);
    let no_upgrade = "GET /v1/vm/console HTTP/1.1\r\nHost: vm\r\nUpgrade: bothy-console\r\n\r\n";
    assert_eq!(vmm.exchange(no_upgrade).status, 200);
    assert_eq!(vmm.exchange("what is this?\r\n\r\n").status, 400);

    // Nothing of that left a trace.
    let info = vmm.client.info().await.unwrap();
    assert_eq!((info.state, info.last_event, info.config), (VmState::Empty, 0, None));
    let info = vmm.client.configure(&parse(&config())).await.unwrap();
    assert_eq!((info.state, info.config), (VmState::Configured, Some(parse(&config()))));
}

/// Sends as many bytes of body as it is let, in pieces.
#[tokio::test]
async fn a_network_interface_is_changed_in_the_configuration_too() {
    let vmm = Process::start().await;
    let mut config = config();
    config["nics"] = json!([
        {"tap": {"name": "t"}},
        {"tap": {"name": "u"}, "metadata": {"socket": "/s", "addresses": ["169.254.169.254"]}},
    ]);
    vmm.client.configure(&parse(&config)).await.unwrap();
    let hop_limit =
        |info: &VmInfo| info.config.as_ref().unwrap().nics[1].metadata.as_ref().unwrap().hop_limit;
    let update = |metadata_hop_limit| NicUpdate { metadata_hop_limit };
    let info = vmm.client.update_nic(1, &update(2)).await.unwrap();
    assert_eq!((hop_limit(&info), info.state), (2, VmState::Configured));
    assert_eq!(hop_limit(&vmm.client.info().await.unwrap()), 2);
    vmm.client.update_nic(1, &update(2)).await.unwrap();

    refusal(vmm.client.update_nic(1, &update(0)).await, ErrorCode::InvalidConfig);
    refusal(vmm.client.update_nic(0, &update(2)).await, ErrorCode::InvalidConfig);
    refusal(vmm.client.update_nic(2, &update(2)).await, ErrorCode::NotFound);
    refusal(vmm.client.update_nic(usize::MAX, &update(2)).await, ErrorCode::NotFound);
    assert_eq!(hop_limit(&vmm.client.info().await.unwrap()), 2);
    // Another configuration is another matter.
    let info = vmm.client.configure(&parse(&config)).await.unwrap();
    assert_eq!(hop_limit(&info), 64);
}

fn send_large(stream: &mut UnixStream, head: &str, pieces: usize, piece: &[u8]) {
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..pieces {
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_and_not_kept() {
    const MIB: usize = 1 << 20;
    let vmm = Process::start().await;
    vmm.ask("PUT /v1/vm", &"x".repeat(MIB)).refusal(ErrorCode::MalformedRequest);
    let before = (vmm.resident_kib(), vmm.descriptors());

    let head = format!("PUT /v1/vm HTTP/1.1\r\nHost: vm\r\nContent-Length: {}\r\n\r\n", 100 * MIB);
    let mut stream = vmm.connect();
    send_large(&mut stream, &head, 100, &vec![b'x'; MIB]);
    Reply::read(&mut stream).refusal(ErrorCode::BodyTooLarge);

    let head = "PUT /v1/vm HTTP/1.1\r\nHost: vm\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; MIB], b"\r\n"].concat();
    let mut stream = vmm.connect();
    send_large(&mut stream, head, 100, &chunk);
    Reply::read(&mut stream).refusal(ErrorCode::BodyTooLarge);

    // Announced and not sent: the answer does not wait for it.
    let announced =
        format!("POST /v1/vm/boot HTTP/1.1\r\nHost: vm\r\nContent-Length: {}\r\n\r\n", u64::MAX / 2);
    let start = Instant::now();
    vmm.exchange(&announced).refusal(ErrorCode::BodyTooLarge);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    drop(stream);
    vmm.wait_for_descriptors(before.1);
    let grown_kib = vmm.resident_kib().saturating_sub(before.0);
    println!("resident memory grew by {grown_kib} KiB");
    assert!(grown_kib < 8 << 10, "resident memory grew by {grown_kib} KiB");
}

#[tokio::test]
async fn clients_that_hang_keep_nobody_else_from_being_served() {
    let vmm = Process::start().await;
    let before = vmm.descriptors();
    let mut patient = vmm.connect();
    let ask = |stream: &mut UnixStream| {
        stream.write_all(b"GET /v1/vm HTTP/1.1\r\nHost: vm\r\n\r\n").unwrap();
        Reply::read(stream)
    };
    assert_eq!(ask(&mut patient).status, 200);

    let hanging: Vec<UnixStream> = (0..70)
        .map(|_| {
            let mut stream = vmm.connect();
            stream.write_all(b"GET /v1/vm HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    // One at a time is refused, with words, when all places are taken; who is in stays in.
    refusal(vmm.client.info().await, ErrorCode::TooManyConnections);
    assert_eq!(ask(&mut patient).status, 200);
    drop(hanging);
    vmm.wait_for_descriptors(before + 1);
    vmm.client.info().await.unwrap();

    // Who does not hang up is hung up on.
    let mut half_head = vmm.connect();
    half_head.write_all(b"GET /v1/vm HTTP/1.1\r\nHo").unwrap();
    let mut half_body = vmm.connect();
    half_body.write_all(b"PUT /v1/vm HTTP/1.1\r\nHost: vm\r\nContent-Length: 10\r\n\r\n{").unwrap();
    Reply::read(&mut half_body).refusal(ErrorCode::RequestTimeout);
    for stream in [&mut half_head, &mut patient, &mut half_body] {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    vmm.wait_for_descriptors(before);
}

/// An ELF kernel that halts its vCPU for good: header, one segment at 1 MiB, `hlt` and a jump back to it.
fn kernel() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([0x10_0000_u64, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 7].map(u32::to_le_bytes).concat());
    elf.extend([120_u64, 0x10_0000, 0x10_0000, 3, 3, 4].map(u64::to_le_bytes).concat());
    elf.extend(b"\xf4\xeb\xfd");
    elf
}

#[tokio::test]
async fn bad_files_and_taps_are_refused_and_leave_nothing_behind() {
    let vmm = Process::start().await;
    let path = |name: &str| vmm.dir.path().join(name);
    let kernel = kernel();
    fs::write(path("kernel"), &kernel).unwrap();
    fs::write(path("cut"), &kernel[..kernel.len() - 1]).unwrap();
    fs::write(path("disk"), vec![0; 4096]).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("odd"), "odd").unwrap();

    let with = |field: &str, value: Value| {
        let mut config = config();
        config["boot"]["kernel"]["kernel"] = json!(path("kernel"));
        config[field] = value;
        config
    };
    let boots = |kernel: &str| with("boot", json!({"kernel": {"kernel": path(kernel)}}));
    let disks = |names: &[&str]| {
        let disk = |(index, name): (usize, &&str)| json!({"id": format!("disk{index}"), "source": {"path": path(name)}});
        with("disks", names.iter().enumerate().map(disk).collect())
    };
    let mut cases = vec![
        (boots("missing"), ErrorCode::FileUnavailable, "missing"),
        (boots(""), ErrorCode::FileUnavailable, "not a regular file"),
        (disks(&["disk", "missing"]), ErrorCode::FileUnavailable, "disk1"),
        (disks(&["disk", ""]), ErrorCode::InvalidDisk, "a directory"),
        (disks(&["disk", "empty"]), ErrorCode::InvalidDisk, "empty"),
        (disks(&["disk", "odd"]), ErrorCode::InvalidDisk, "3 bytes"),
        (disks(&["disk", "disk"]), ErrorCode::DiskInUse, "in use"),
        (with("disks", json!([{"id": "a", "source": {"fd": 4000}}])), ErrorCode::FileUnavailable, "4000"),
        (with("nics", json!([{"tap": {"name": "no-such-tap"}}])), ErrorCode::TapUnavailable, "no-such-tap"),
    ];
    if !kvm_is_missing() {
        cases.push((boots("cut"), ErrorCode::InvalidKernel, "kernel"));
        cases.push((boots("odd"), ErrorCode::InvalidKernel, "kernel"));
    }

    vmm.client.configure(&parse(&config())).await.unwrap();
    let before = vmm.descriptors();
    for (config, code, word) in &cases {
        vmm.client.configure(&parse(config)).await.unwrap();
        let message = refusal(vmm.client.boot().await, *code);
        assert!(message.contains(word), "{message:?} lacks {word:?}");
        assert_eq!(vmm.client.info().await.unwrap().state, VmState::Configured);
        vmm.wait_for_descriptors(before);
    }

    let failures = vmm.client.events(0, Duration::ZERO).await.unwrap().events;
    let failures = failures.iter().filter(|event| matches!(event.kind, EventKind::BootFailed { .. })).count();
    assert_eq!(failures, cases.len());
    let logged = with("console", json!({"log": path("no/such/log")}));
    refusal(vmm.client.configure(&parse(&logged)).await, ErrorCode::FileUnavailable);
    if kvm_is_missing() {
        return;
    }

    // After all that it boots what is right.
    vmm.client.configure(&parse(&disks(&["disk"]))).await.unwrap();
    let booted = vmm.client.boot().await.unwrap();
    assert_eq!((booted.state, booted.pids.vcpus.len()), (VmState::Running, 1));
    vmm.client.configure(&parse(&disks(&["disk"]))).await.unwrap();
    refusal(vmm.client.configure(&parse(&config())).await, ErrorCode::WrongState);
    refusal(vmm.client.boot().await, ErrorCode::WrongState);
    for _twice in 0..2 {
        assert_eq!(vmm.client.pause().await.unwrap().state, VmState::Paused);
    }
    refusal(vmm.client.power_button().await, ErrorCode::WrongState);
    for _twice in 0..2 {
        assert_eq!(vmm.client.resume().await.unwrap().state, VmState::Running);
    }
    assert_eq!(vmm.client.reset().await.unwrap().boots, booted.boots + 1);
    let other = Process::start().await;
    other.client.configure(&parse(&disks(&["disk"]))).await.unwrap();
    refusal(other.client.boot().await, ErrorCode::DiskInUse);

    for _twice in 0..2 {
        let ended = vmm.client.kill().await.unwrap();
        assert_eq!((ended.state, ended.exit.unwrap().reason), (VmState::Exited, ExitReason::Killed));
    }
    refusal(vmm.client.boot().await, ErrorCode::WrongState);
    vmm.wait_for_descriptors(before);
    other.client.boot().await.unwrap();
}

#[tokio::test]
async fn events_wake_who_waits() {
    let vmm = Process::start().await;
    let before = vmm.descriptors();
    let client = vmm.client.clone();
    let waiting = tokio::spawn(async move { client.events(0, SOON * 2).await });
    // One that goes away while it waits.
    let gone = tokio::time::timeout(Duration::from_millis(50), vmm.client.events(0, SOON)).await;
    assert!(gone.is_err());
    vmm.client.configure(&parse(&config())).await.unwrap();
    let page = waiting.await.unwrap().unwrap();
    assert_eq!((page.events.len(), page.next, page.missed), (1, 1, 0));
    assert_eq!(page.events[0].kind, EventKind::Configured);
    assert_eq!(vmm.client.events(1, Duration::ZERO).await.unwrap().events, []);
    vmm.wait_for_descriptors(before);

    // As a stream: what was before, then what comes.
    let mut stream = vmm.connect();
    stream.write_all(b"GET /v1/vm/events HTTP/1.1\r\nHost: vm\r\nAccept: text/event-stream\r\n\r\n").unwrap();
    let first = read_until(&mut stream, "\n\n\r\n");
    assert!(first.to_lowercase().contains("content-type: text/event-stream"), "{first}");
    assert!(first.contains("id: 1\ndata: {\"seq\":1,"), "{first}");
    let mut other = config();
    other["vcpus"] = 2.into();
    vmm.client.configure(&parse(&other)).await.unwrap();
    assert!(read_until(&mut stream, "\n\n\r\n").contains("id: 2\ndata: "));
    drop(stream);
    vmm.wait_for_descriptors(before);

    let mut stream = vmm.connect();
    let head =
        "GET /v1/vm/events HTTP/1.1\r\nHost: vm\r\nAccept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let first = read_until(&mut stream, "\n\n\r\n");
    assert!(first.contains("id: 2\n") && !first.contains("id: 1\n"), "{first}");
}

fn read_until(stream: &mut UnixStream, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {text:?}"));
        text.push(char::from(byte[0]));
    }
    text
}

#[tokio::test]
async fn the_console_is_a_history_and_a_stream() {
    let mut vmm = Process::start().await;
    let before = vmm.descriptors();
    let history = vmm.client.console(Some(7)).await.unwrap();
    assert_eq!((history.offset, history.bytes.len()), (0, 0));

    let mut stream = vmm.client.attach_console(None).await.unwrap();
    stream.write_all(b"typed before there is a guest\n").await.unwrap();
    vmm.client.info().await.unwrap();
    drop(stream);
    vmm.wait_for_descriptors(before);

    // More than the guest is kept: the stream waits, and others are served.
    let mut stream = vmm.client.attach_console(Some(0)).await.unwrap();
    let flood =
        tokio::time::timeout(Duration::from_millis(200), stream.write_all(&vec![b'x'; 8 << 20])).await;
    assert!(flood.is_err(), "8 MiB of input were taken");
    vmm.client.info().await.unwrap();

    // A stream that is attached does not hold up the end.
    let start = Instant::now();
    assert!(vmm.terminate().success());
    println!("ended after {:?}", start.elapsed());
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let vmm = Process::start().await;
    let reply = vmm.ask("GET /v1/metrics", "");
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
    let text = vmm.client.metrics().await.unwrap();
    let mut described = String::new();
    let mut samples = 0;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("HELP"), Some(name), Some(_)) => described = name.to_owned(),
                (Some("TYPE"), Some(name), Some("counter" | "gauge" | "histogram")) => {
                    assert_eq!(name, described)
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(name.starts_with(&described), "{line} under {described}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        samples += 1;
    }
    assert!(samples >= 3, "{text}");
}
