//! Clouds' own SDKs and command lines, unmodified, in Pythons of their own, for the tests of each cloud. They are fetched from
//! PyPI into folders of cargo's, so what asks for one runs only where `BOTHY_REQUIRE_CLIENTS` promises that it can, with a
//! `python3` that has `venv`. There it fails if it cannot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::world::Node;

/// Where scripts are, and what they require.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// Longest time for fetching, and for what a script does.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A Python with what a file of requirements asks for. Tests run at the same time; it is fetched once for all of them.
pub struct Python {
    folder: &'static str,
    requirements: &'static str,
    /// What pip is told besides.
    options: &'static [&'static str],
    fetched: OnceCell<Option<PathBuf>>,
}

impl Python {
    pub const fn new(
        folder: &'static str,
        requirements: &'static str,
        options: &'static [&'static str],
    ) -> Self {
        Self { folder, requirements, options, fetched: OnceCell::const_new() }
    }

    /// The program; `None`, and a line that says so, where clients are not promised.
    pub async fn get(&self) -> Option<PathBuf> {
        self.fetched.get_or_init(|| self.fetch()).await.clone()
    }

    async fn fetch(&self) -> Option<PathBuf> {
        if std::env::var_os("BOTHY_REQUIRE_CLIENTS").is_none() {
            eprintln!(
                "skipped: BOTHY_REQUIRE_CLIENTS is not set: the cloud's own SDKs are fetched from PyPI"
            );
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.folder);
        let python = folder.join("bin/python");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
        // What is there from an earlier run is looked at by pip, and mostly left as it is.
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(self.options);
        run(install.arg("-r").arg(Path::new(CLIENTS).join(self.requirements))).await;
        Some(python)
    }
}

/// What a program prints that succeeds.
async fn run(command: &mut Command) -> Vec<u8> {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A script. What the machine has of its own is not for these clients.
pub fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(format!("{CLIENTS}/{name}"));
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// What a script says.
pub async fn told(script: &mut Command) -> Value {
    serde_json::from_slice(&run(script).await).unwrap()
}

/// Sets a host's clock to that of clients, who sign with their own, in whole seconds.
pub fn set_clock(node: &Node) {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let behind = now.duration_since(node.compute.clock().now());
    node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
}
