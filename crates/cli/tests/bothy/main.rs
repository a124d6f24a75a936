//! The program `bothy` against a daemon that answers from a table: every command, its request, what it prints, its exit code.

#![allow(clippy::unwrap_used)]

mod commands;
mod completion;
mod console;
mod failures;
mod samples;
mod server;
mod tls;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use server::Daemon;

/// A user with a home of its own and a daemon.
struct User {
    home: tempfile::TempDir,
    daemon: Daemon,
}

impl User {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(&home.path().join("api.sock"));
        Self { home, daemon }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// `bothy` with these arguments, no terminal anywhere, and nothing of the environment that runs the tests.
    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bothy"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home());
        command.env("BOTHY_ENDPOINT", format!("unix:{}", self.home().join("api.sock").display()));
        command.current_dir(self.home()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(arguments);
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(self.command(line.split(' ')).output().unwrap())
    }

    /// Runs what must succeed, and gives its output.
    fn succeed(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        ran.stdout
    }
}

/// What a run of `bothy` came to.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        let ran = Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }
}
