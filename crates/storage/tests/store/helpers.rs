//! Helpers that an image has taken over: they can do nothing, and what they send is believed only about their own disk.

use super::*;
use std::io::Write;
use std::time::Duration;
use storage::HelperError;
use storage::store::{ConvertTask, ImportError, convert_main_doing};

/// Marks zeroes.
const ZEROES: u64 = 1 << 63;

pub fn misbehave(name: &str) -> ! {
    match name {
        "misbehave-open" => convert_main_doing(|_| done(fs::File::open("/etc/passwd").is_ok())),
        "misbehave-socket" => convert_main_doing(|_| done(std::net::UdpSocket::bind("127.0.0.1:0").is_ok())),
        "misbehave-exec" => convert_main_doing(|_| done(Command::new("/bin/true").spawn().is_ok())),
        "misbehave-write-image" => convert_main_doing(|_| {
            // SAFETY: write with a valid buffer. The image is the first descriptor after the socket.
            done(unsafe { libc::write(4, b"x".as_ptr().cast(), 1) } == 1)
        }),
        "misbehave-truncate" => convert_main_doing(|task| done(task.output.set_len(0).is_ok())),
        "misbehave-panic" => convert_main_doing(|_| panic!("what a disk")),
        "misbehave-hang" => convert_main_doing(|_| {
            loop {
                std::hint::spin_loop();
            }
        }),
        "misbehave-no-size" => convert_main_doing(|task| send(task, &[0])),
        "misbehave-odd-size" => convert_main_doing(|task| send(task, &[513, 513 | ZEROES])),
        "misbehave-too-much" => convert_main_doing(|task| send(task, &[1024, 1536 | ZEROES])),
        "misbehave-overflow" => convert_main_doing(|task| send(task, &[1024, 512 | ZEROES, u64::MAX])),
        "misbehave-long-piece" => convert_main_doing(|task| send(task, &[1 << 30, 1 << 20])),
        "misbehave-too-little" => convert_main_doing(|task| send(task, &[1024, 512 | ZEROES])),
        "misbehave-nothing" => convert_main_doing(|_| Ok(())),
        "misbehave-empty-pieces" => convert_main_doing(|mut task| {
            let _ = task.output.write_all(&1024_u64.to_le_bytes());
            while task.output.write_all(&0_u64.to_le_bytes()).is_ok() {}
            Ok(())
        }),
        "misbehave-chatter" => convert_main_doing(|mut task| {
            let _ = task.output.write_all(&512_u64.to_le_bytes());
            let _ = task.output.write_all(&(512 | ZEROES).to_le_bytes());
            while task.output.write_all(&[0; 4096]).is_ok() {}
            Ok(())
        }),
        _ => panic!("no such helper: {name}"),
    }
}

fn done(worked: bool) -> Result<(), String> {
    Err(if worked { "it worked" } else { "it failed" }.to_owned())
}

fn send(mut task: ConvertTask, numbers: &[u64]) -> Result<(), String> {
    for number in numbers {
        task.output.write_all(&number.to_le_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn fails_as(convert_argument: &'static str, timeout: Duration) -> HelperError {
    let place = Place::with(Limits { convert_argument, import_timeout: timeout, ..Limits::default() });
    let file = place.path("image");
    fs::write(&file, [1; 4096]).unwrap();
    let error = import::import(&place, &file).expect_err(convert_argument);
    place.assert_empty();
    match error {
        ImportError::Helper(error) => error,
        other => panic!("{convert_argument}: {other:?}"),
    }
}

pub fn misbehaviour() {
    let long = Duration::from_secs(60);
    for name in [
        "misbehave-open",
        "misbehave-socket",
        "misbehave-exec",
        "misbehave-write-image",
        "misbehave-truncate",
    ] {
        let error = fails_as(name, long);
        assert!(matches!(error, HelperError::Forbidden), "{name}: {error:?}");
    }
    for name in [
        "misbehave-no-size",
        "misbehave-odd-size",
        "misbehave-too-much",
        "misbehave-overflow",
        "misbehave-long-piece",
        "misbehave-too-little",
        "misbehave-nothing",
    ] {
        let error = fails_as(name, long);
        assert!(matches!(error, HelperError::Nonsense(_)), "{name}: {error:?}");
    }
    let error = fails_as("misbehave-panic", long);
    assert!(matches!(&error, HelperError::Crashed(text) if text.contains("what a disk")), "{error:?}");
    let short = Duration::from_millis(300);
    for name in ["misbehave-hang", "misbehave-empty-pieces"] {
        let error = fails_as(name, short);
        assert!(matches!(error, HelperError::TimedOut(_)), "{name}: {error:?}");
    }
    // Whoever goes on talking when the disk is complete is not heard; the disk is what was sent.
    let place = Place::with(Limits { convert_argument: "misbehave-chatter", ..Limits::default() });
    let file = place.path("image");
    fs::write(&file, [1; 4096]).unwrap();
    let imported = import::import(&place, &file).unwrap();
    assert_eq!((imported.bytes, sha256(&place.image(&imported.sha256))), (512, imported.sha256));
    let children = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    assert_eq!(children, Err(nix::errno::Errno::ECHILD), "a helper is left over");
}
