//! `bothy ssh`: runs ssh to an instance, with the key that `bothy key create` kept and the instance's own host key.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use native_api::{Instance, InstanceState};
use tokio::net::TcpStream;

use super::{Wait, instance};
use crate::failure::{Exit, Failure};
use crate::{Context, config, names};

const EXAMPLES: &str = "\
Examples:
  bothy ssh web
  bothy ssh web --user debian -- uname -a
  bothy ssh web --wait -- -L 8080:localhost:80

Host keys: each instance's is remembered under the instance's id in ~/.config/bothy/known_hosts when it is first seen,
whatever address it has. An instance that later shows another key is refused. The user's own ~/.ssh/config holds for
everything else.";

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
    #[arg(short, long, default_value_t = 22)]
    port: u16,
    /// Go to its private address also if it has a public one
    #[arg(long)]
    private: bool,
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
    let public = found.public_address.filter(|_| !arguments.private);
    let address = public
        .or(found.private_address)
        .ok_or_else(|| Failure::new(Exit::Failed, format!("{id} has no address"), "use bothy console"))?;
    if arguments.wait.wait {
        wait_for_port(context, address.into(), arguments.port, arguments.wait.limit()).await?;
    }
    let error = ssh(arguments, &found, address.into())?.exec();
    let hint = "install OpenSSH's client: apt install openssh-client";
    Err(Failure::new(Exit::Failed, format!("running ssh: {error}"), hint))
}

/// The command line of ssh.
fn ssh(arguments: &Arguments, instance: &Instance, address: IpAddr) -> Result<Command, Failure> {
    let folder = config::folder()?;
    let mut command = Command::new("ssh");
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
    command.args(options).arg("--").arg(address.to_string()).args(remote);
    Ok(command)
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

/// Waits until something listens on the port: the guest's ssh has started.
async fn wait_for_port(
    context: &Context,
    address: IpAddr,
    port: u16,
    limit: Duration,
) -> Result<(), Failure> {
    /// How long one attempt may take: a guest that does not answer at all drops what is sent to it.
    const ATTEMPT: Duration = Duration::from_secs(2);
    let spinner = context.output.spinner(&format!("waiting for port {port} of {address}"));
    let attempt = async || {
        let connecting = TcpStream::connect(SocketAddr::new(address, port));
        Ok(tokio::time::timeout(ATTEMPT, connecting).await.is_ok_and(|stream| stream.is_ok()))
    };
    let what = format!("an answer on port {port} of {address}");
    let answered = context.client.wait_until(&what, limit, attempt, |is_open| *is_open).await;
    spinner.finish_and_clear();
    let hint =
        "see with bothy console how far the guest is, and whether its security groups let that port in";
    answered.map(drop).map_err(|error| Failure::from(error).hinting(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

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
