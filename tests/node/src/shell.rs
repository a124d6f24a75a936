//! A tiny guest's shell on its console, typed to as a person would: one command at a time.

use std::time::Duration;

use native_api::{ByteStream, ConsoleQuery, InstanceId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{BOOT, Node};

/// Instead of the shell that is there: one that edits no lines, shows no prompt, and says when a command has ended.
const LOOP: &str = r#"exec sh -c 'stty -echo; while read -r line; do eval "$line"; n=$((n + 1)); echo "SHELL-DONE $n."; done'"#;

/// A shell that waits for commands.
pub struct Shell {
    stream: ByteStream,
    /// What was printed since the last command's end.
    printed: String,
    commands: u32,
}

impl Shell {
    /// The shell of an instance that runs the tiny image without a command, once it is there.
    pub async fn open(node: &Node, id: &InstanceId) -> Self {
        node.printed("a shell", BOOT, id, |text| text.contains("BOTHY-USERSPACE").then_some(())).await;
        let start = "0".parse().expect("a console has a start");
        let query = ConsoleQuery { offset: Some(start), wait_ms: None };
        let stream = node.client.attach_console(id, &query).await.expect("a guest that runs has a console");
        let mut shell = Self { stream, printed: String::new(), commands: 0 };
        shell.read_until("# ", BOOT).await;
        shell.type_line(LOOP).await;
        shell.run("true").await;
        shell
    }

    /// Runs a command of one line, and gives what it printed, without blanks at the ends.
    pub async fn run(&mut self, command: &str) -> String {
        self.run_within(BOOT, command).await
    }

    /// The same for one that takes its time.
    pub async fn run_within(&mut self, limit: Duration, command: &str) -> String {
        self.commands += 1;
        self.type_line(command).await;
        let end = format!("SHELL-DONE {}.", self.commands);
        self.read_until(&end, limit).await.trim().to_owned()
    }

    async fn type_line(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stream.write_all(line.as_bytes()).await.expect("the console is attached");
        self.stream.flush().await.expect("the console is attached");
    }

    /// What comes before a text.
    async fn read_until(&mut self, end: &str, limit: Duration) -> String {
        let reading = async {
            let mut bytes = [0; 4096];
            loop {
                if let Some(at) = self.printed.find(end) {
                    let before = self.printed[..at].to_owned();
                    self.printed.drain(..at + end.len());
                    return before;
                }
                let count = self.stream.read(&mut bytes).await.expect("the console is attached");
                assert!(count > 0, "the guest is gone; it printed {}", self.printed);
                self.printed.push_str(&String::from_utf8_lossy(&bytes[..count]).replace('\r', ""));
            }
        };
        let read = timeout(limit, reading).await;
        read.unwrap_or_else(|_| panic!("no {end:?} within {limit:?} in: {}", self.printed))
    }
}
