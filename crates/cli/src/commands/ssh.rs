//! `bothy ssh`: runs ssh to an instance, through the daemon (`bothy connect`), with the key that `bothy key create` kept and the
//! instance's own host key.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use native_api::{
    ClientError, ConnectQuery, ErrorCode, Instance, InstanceId, InstanceState, TcpPort, WaitMs,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Wait, instance};
use crate::failure::{Exit, Failure};
use crate::{Context, config, names};

const EXAMPLES: &str = "\
Examples:
  bothy ssh web
  bothy ssh web --user debian -- uname -a
  bothy ssh web --wait -- -L 8080:localhost:80

ssh gets to the instance through the daemon, as bothy connect does, wherever the two of you are.

Host keys: each instance's is remembered under the instance's id in ~/.config/bothy/known_hosts when
it is first seen, whatever address it has. An instance that later shows another key is refused. The
user's own ~/.ssh/config holds for everything else.";

/// Log in to an instance
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The instance, by name or id
    instance: String,
    /// Who to log in as
    #[arg(short, long, env = "BOTHY_SSH_USER", default_value = "root")]
    user: String,
    /// The private key. Default: the one of its key pair in ~/.config/bothy/keys
    #[arg(short, long, value_name = "FILE")]
    identity: Option<std::path::PathBuf>,
    /// The port
    #[arg(short, long, default_value = "22")]
    port: TcpPort,
    #[command(flatten)]
    wait: Wait,
    /// For ssh: options, then a command to run there
    #[arg(last = true, value_name = "SSH_ARGUMENTS")]
    rest: Vec<OsString>,
}

/// Becomes ssh.
pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let id = names::instance(&context.client, &arguments.instance).await?;
    let found = if arguments.wait.wait {
        instance::wait_for(context, &id, InstanceState::Running, arguments.wait.limit()).await?
    } else {
        context.client.get_instance(&id).await?
    };
    if found.state != InstanceState::Running {
        return Err(Failure::new(
            Exit::Failed,
            format!("{id} is {}, not running", crate::output::word(&found.state)),
            format!("start it with bothy start {id}, or wait for it with --wait"),
        ));
    }
    if arguments.wait.wait {
        wait_for_banner(context, &id, arguments.port, arguments.wait.limit()).await?;
    }
    let error = ssh(context, arguments, &found)?.exec();
    let hint = "install OpenSSH's client: apt install openssh-client";
    Err(Failure::new(Exit::Failed, format!("running ssh: {error}"), hint))
}

/// The command line of ssh.
fn ssh(context: &Context, arguments: &Arguments, instance: &Instance) -> Result<Command, Failure> {
    let folder = config::make_folder()?;
    let mut command = Command::new("ssh");
    // What the command that ssh runs to connect is told, too.
    command.envs(context.environment.iter().cloned());
    let bothy = std::env::current_exe()
        .map_err(|error| Failure::local("finding this program", &error).hinting("is /proc mounted?"))?;
    let mut proxy = OsString::from("ProxyCommand=");
    proxy.push(quoted(bothy.as_os_str()));
    proxy.push(format!(" connect {} {}", instance.id, arguments.port));
    command.arg("-o").arg(proxy);
    let mut option = |name: &str, value: std::fmt::Arguments<'_>| {
        command.arg("-o").arg(format!("{name}={value}"));
    };
    // Quoted, as ssh takes a blank for the beginning of another file.
    option("UserKnownHostsFile", format_args!("\"{}\"", folder.join("known_hosts").display()));
    option("HostKeyAlias", format_args!("{}", instance.id));
    option("StrictHostKeyChecking", format_args!("accept-new"));
    let kept = match &instance.key_pair {
        Some(name) => Some(config::private_key(name)?).filter(|path| path.exists()),
        None => None,
    };
    if let Some(identity) = arguments.identity.clone().or(kept) {
        option("IdentitiesOnly", format_args!("yes"));
        command.arg("-i").arg(identity);
    }
    command.arg("-l").arg(&arguments.user).arg("-p").arg(arguments.port.to_string());
    // Options of ssh come before the host, the command that it runs behind it.
    let (options, remote) = split(&arguments.rest);
    command.args(options).arg("--").arg(instance.id.as_str()).args(remote);
    Ok(command)
}

/// A path as one word of a shell, in a command of ssh's, which has a meaning for `%`.
fn quoted(path: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for &byte in path.as_bytes() {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            b'%' => quoted.extend(b"%%"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

/// Where the options for ssh end: at the first that is none and belongs to none.
fn split(rest: &[OsString]) -> (&[OsString], &[OsString]) {
    /// Options of OpenSSH's client that take the next argument.
    const WITH_VALUE: &[u8] = b"BbcDEeFIiJLlmOopQRSWw";
    let mut index = 0;
    while let Some(option) = rest.get(index).map(|option| option.as_encoded_bytes()) {
        if option == b"--" {
            return (&rest[..index], &rest[index + 1..]);
        }
        if option.len() < 2 || option[0] != b'-' {
            break;
        }
        // Of letters in a row, the first that takes a value takes the rest of them, or the next argument.
        let takes_next = option[1..].iter().position(|letter| WITH_VALUE.contains(letter));
        let takes_next = takes_next.is_some_and(|position| position + 2 == option.len());
        index += if takes_next { 2 } else { 1 };
    }
    rest.split_at(index.min(rest.len()))
}

/// Waits until the guest's ssh says that it is there. That the port is open is not enough: the guest's may be about to start,
/// and whatever is between may take connections for it.
async fn wait_for_banner(
    context: &Context,
    id: &InstanceId,
    port: TcpPort,
    limit: Duration,
) -> Result<(), Failure> {
    /// How long the guest may take to connect, and then to speak: one that has not come up yet drops what is sent to it.
    const ATTEMPT_MS: u32 = 2000;
    let spinner = context.output.spinner(&format!("waiting for ssh on port {port} of {id}"));
    let wait_ms = WaitMs::try_from(u64::from(ATTEMPT_MS)).ok();
    let query = ConnectQuery { port: Some(port), wait_ms };
    let attempt = async || match context.client.connect_to_instance(id, &query).await {
        Ok(stream) => {
            let said = tokio::time::timeout(Duration::from_millis(ATTEMPT_MS.into()), says_ssh(stream));
            Ok(said.await.unwrap_or(false))
        }
        Err(ClientError::Refused(refusal)) => match refusal.code {
            ErrorCode::ConnectionRefused | ErrorCode::ConnectionTimeout => Ok(false),
            _ => Err(refusal.into()),
        },
        Err(error) => Err(error),
    };
    let what = format!("ssh on port {port} of {id}");
    let answered = context.client.wait_until(&what, limit, attempt, |is_there| *is_there).await;
    spinner.finish_and_clear();
    answered.map(drop).map_err(|error| match error {
        timeout @ ClientError::Timeout { .. } => Failure::from(timeout).hinting(format!(
            "see with bothy console {id} how far the guest is, or wait longer with --timeout"
        )),
        error => error.into(),
    })
}

/// Whether a server says its version, perhaps behind other lines (RFC 4253, 4.2).
async fn says_ssh(stream: impl AsyncRead + Unpin) -> bool {
    const VERSION: &[u8] = b"SSH-";
    /// More than any server says before.
    const MOST_BYTES: u64 = 16 << 10;
    let mut stream = stream.take(MOST_BYTES);
    let mut said = Vec::new();
    let has_said = |said: &[u8]| said.split(|byte| *byte == b'\n').any(|line| line.starts_with(VERSION));
    while let Ok(1..) = stream.read_buf(&mut said).await {
        if has_said(&said) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_its_version() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let says = |text: &str| runtime.block_on(says_ssh(text.as_bytes()));
        assert!(says("SSH-2.0-OpenSSH_9.2p1\r\n") && says("welcome\r\nto all\r\nSSH-2.0-x"));
        assert!(!says("") && !says("SSH") && !says("no SSH-2.0 here\r\n") && !says("HTTP/1.1 400\r\n"));
        assert!(!says(&format!("{}\nSSH-2.0-x\r\n", "x".repeat(17 << 10))), "it does not say so for long");
    }

    #[test]
    fn a_path_is_one_word_for_ssh_and_for_shells() {
        let quoted = |path: &str| quoted(OsStr::new(path)).into_string().unwrap();
        assert_eq!(quoted("/usr/bin/bothy"), "'/usr/bin/bothy'");
        assert_eq!(quoted("/100% it's/bothy"), r"'/100%% it'\''s/bothy'");
    }

    #[test]
    fn options_of_ssh_are_told_from_the_remote_command() {
        let cases: &[(&[&str], usize)] = &[
            (&["uname", "-a"], 0),
            (&["-v", "uname", "-a"], 1),
            (&["-L", "8080:localhost:80"], 2),
            (&["-NL", "1:a:1", "-v"], 3),
            (&["-p22", "ls"], 1),
            (&["-p"], 1),
            (&[], 0),
        ];
        for (arguments, options) in cases {
            let rest: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(split(&rest).0.len(), *options, "{arguments:?}");
        }
    }
}
