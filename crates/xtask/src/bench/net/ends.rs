//! The two ends of a measurement, each a place where a shell runs commands: the host, or a guest that was told to serve one.
//! Also what a guest serves besides: what it takes for others to measure it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use super::super::guest::{Guest, PATIENCE};

/// A port where a guest sends back what it gets by TCP.
pub const ECHO_PORT: u16 = 7;
/// A port of a guest at which somebody waits who, connected to, lets it end.
const END_PORT: u16 = 9;
/// A port of a guest at which there is a shell.
const SHELL_PORT: u16 = 23;
/// A port of a guest that leads to port 80 of its metadata service, where that answers.
pub const RELAY_PORT: u16 = 80;
/// Where both ends have sockperf's server, by UDP.
pub const SOCKPERF_PORT: u16 = 5202;

/// The line that says that a guest serves.
const READY: &str = "BENCH-READY";

/// What a guest runs: it serves, until it is told to end.
pub fn script(address: Ipv4Addr) -> String {
    format!(
        "ip addr add {address}/24 dev eth0; ip link set eth0 up
        /usr/bin/iperf3 -s >/dev/null 2>&1 &
        /usr/bin/sockperf server -p {SOCKPERF_PORT} >/dev/null 2>&1 &
        nc -ll -p {ECHO_PORT} -e cat &
        nc -ll -p {SHELL_PORT} -e sh &
        ip route add 169.254.169.254 dev eth0; nc -ll -p {RELAY_PORT} -e nc 169.254.169.254 80 &
        nc -l -p {END_PORT} </dev/null >/dev/null &
        end=$!
        for port in 5201 {ECHO_PORT} {END_PORT} {RELAY_PORT} {SHELL_PORT} {SOCKPERF_PORT}; do
            until netstat -lntu | grep -q \":$port \"; do usleep 50000; done
        done
        echo {READY}
        wait $end"
    )
}

/// Connects to a port of a guest.
pub type Connect<'a> = Box<dyn Fn(u16) -> anyhow::Result<TcpStream> + 'a>;

/// Where commands are run.
pub enum End<'a> {
    /// Here.
    Host {
        /// By which packets come.
        tap: &'a str,
        /// That of sockperf.
        _server: Server,
    },
    /// In a guest that runs `script`.
    Guest(Connect<'a>),
}

impl<'a> End<'a> {
    /// The host, whose packets come by this tap. Its server has to be there only when a guest serves.
    pub fn host(tap: &'a str) -> anyhow::Result<Self> {
        let mut server = Command::new("sockperf");
        server.args(["server", "-p", &SOCKPERF_PORT.to_string()]);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self::Host { tap, _server: Server(server.spawn().context("running sockperf")?) })
    }

    /// A guest, once it serves.
    pub fn guest(guest: &mut Guest, connect: Connect<'a>) -> anyhow::Result<Self> {
        guest.wait_line(READY)?;
        Ok(Self::Guest(connect))
    }

    /// Its network interface, which is where packets of the other come in.
    pub fn interface(&self) -> &str {
        match self {
            Self::Host { tap, .. } => tap,
            Self::Guest(_) => "eth0",
        }
    }

    /// Runs a script to its end, and says what it printed.
    pub fn run(&self, script: &str) -> anyhow::Result<String> {
        self.begin(script)?.output()
    }

    /// Begins a script.
    pub fn begin(&self, script: &str) -> anyhow::Result<Running> {
        match self {
            Self::Host { .. } => {
                let mut shell = Command::new("timeout");
                shell.arg(PATIENCE.as_secs().to_string()).args(["sh", "-c", script]);
                let shell = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
                Ok(Running::Here(shell.spawn().context("running a shell")?))
            }
            Self::Guest(connect) => {
                let mut stream = connect(SHELL_PORT).context("connecting to the guest's shell")?;
                stream.write_all(script.as_bytes()).context("writing to the guest's shell")?;
                stream.shutdown(Shutdown::Write).context("writing to the guest's shell")?;
                Ok(Running::There(stream))
            }
        }
    }

    /// Lets a guest end, once all that was begun is done. The host stays.
    pub fn end(&self) -> anyhow::Result<()> {
        if let Self::Guest(connect) = self {
            connect(END_PORT).context("telling the guest to end")?;
        }
        Ok(())
    }
}

/// A process that serves until it is dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A script under way.
pub enum Running {
    /// On the host.
    Here(Child),
    /// In a guest.
    There(TcpStream),
}

impl Running {
    /// Waits for its end, and says what it printed.
    pub fn output(self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        match self {
            Self::Here(shell) => {
                let output = shell.wait_with_output().context("waiting for a shell")?;
                ensure!(output.status.success(), "a script on the host failed: {}", output.status);
                bytes = output.stdout;
            }
            Self::There(mut stream) => {
                stream.read_to_end(&mut bytes).context("waiting for a script in a guest")?;
            }
        }
        String::from_utf8(bytes).context("reading what a script printed")
    }
}
