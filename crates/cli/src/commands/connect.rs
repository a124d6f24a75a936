//! `bothy connect`: stdin and stdout become a connection to a port of an instance, wherever that is.

use std::io::IsTerminal;

use native_api::{ByteStream, ConnectQuery, TcpPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::failure::Failure;
use crate::{Context, names};

const EXAMPLES: &str = "\
Examples:
  bothy connect web 80
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | bothy connect web 80

In ~/.ssh/config, so that ssh, scp, rsync and git find instances by their names:
  Host web db
    ProxyCommand bothy connect %h %p

The daemon connects from the router of the instance's subnet, so that also instances are reached
whose addresses are known in their VPC only. Security groups have no say in it: who may do this is up
to policies (bothy:ConnectToInstance). The end of the input is passed on; the command ends when the
instance has said all.";

/// Connect to a port of an instance
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The instance, by name or id
    instance: String,
    /// The port
    #[arg(default_value = "22")]
    port: TcpPort,
}

/// Connects.
pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let id = names::instance(&context.client, &arguments.instance).await?;
    let query = ConnectQuery { port: Some(arguments.port), wait_ms: None };
    let stream = context.client.connect_to_instance(&id, &query).await?;
    if !context.output.quiet && std::io::stdin().is_terminal() {
        eprintln!("connected to port {} of {id}; Ctrl-D ends the input", arguments.port);
    }
    carry(stream).await
}

/// Carries bytes both ways until the instance has said all.
async fn carry(stream: ByteStream) -> Result<(), Failure> {
    let (mut from_instance, mut to_instance) = tokio::io::split(stream);
    let sending = async {
        // Where the instance hears no more, it may still have something to say: that ends the command, not this.
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut to_instance).await;
        let _ = to_instance.shutdown().await;
        std::future::pending().await
    };
    let receiving = async {
        let mut stdout = tokio::io::stdout();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = from_instance.read(&mut bytes).await;
            let count =
                read.map_err(|error| Failure::local("the connection to the instance broke", &error))?;
            if count == 0 {
                return Ok(());
            }
            stdout.write_all(&bytes[..count]).await?;
            stdout.flush().await?;
        }
    };
    tokio::select! {
        result = receiving => result,
        never = sending => never,
    }
}
