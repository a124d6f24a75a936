//! Pythons with clouds' own SDKs, as `cargo xtask test node` makes them and says in the environment where they are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// A Python with an SDK.
pub struct Python(PathBuf);

impl Python {
    /// The one of which this variable says where it is. `None`, and a line that says so, without it. The test is then skipped.
    pub fn find(variable: &str) -> Option<Self> {
        let path = env::var_os(variable).map(PathBuf::from);
        if path.is_none() {
            eprintln!("skipped: {variable} is not set; run `cargo xtask test node`");
        }
        path.map(Self)
    }

    /// A command that runs a script of these tests, `alibaba/ask.py`, and asks whom it asks itself, by no proxy.
    pub fn script(&self, path: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(format!("{}/tests/{path}", env!("CARGO_MANIFEST_DIR")));
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
    }
}
