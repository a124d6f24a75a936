//! `bothy events`: what happens, as it happens.

use native_api::{ClientError, Event, EventQuery, Revision, WaitMs};

use crate::Context;
use crate::failure::{Exit, Failure};
use crate::output::word;

const EXAMPLES: &str = "\
Examples:
  bothy events
  bothy events --since 1200 --json        one object on each line; go on from the last revision";

/// Follow what happens, until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Only events after this revision. Default: from now on
    #[arg(long, value_name = "REVISION")]
    since: Option<Revision>,
    /// End when so long nothing happened, in milliseconds
    #[arg(long, value_name = "MS")]
    wait_ms: Option<WaitMs>,
}

/// Follows.
pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let mut query = EventQuery { since: arguments.since, wait_ms: arguments.wait_ms };
    loop {
        let mut stream = context.client.events(&query).await?;
        loop {
            match stream.next().await {
                Ok(Some(event)) => {
                    print(context, &event)?;
                    query.since = Some(event.revision);
                }
                Ok(None) if arguments.wait_ms.is_some() => return Ok(()),
                // The daemon was started again: whoever follows does not want to know. Without a revision, what
                // happened in between would be missing unsaid.
                Ok(None) if query.since.is_some() => break,
                Ok(None) => {
                    let message = "the daemon ended the stream";
                    return Err(Failure::new(Exit::Unreachable, message, "is it being restarted? try again"));
                }
                Err(ClientError::Broken(_) | ClientError::Protocol(_)) if query.since.is_some() => break,
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn print(context: &Context, event: &Event) -> Result<(), Failure> {
    if context.output.json {
        let line = serde_json::to_string(event);
        return context.output.line(line.map_err(|error| std::io::Error::other(error.to_string()))?);
    }
    let state = event.state.as_deref().map(|state| format!(" {state}")).unwrap_or_default();
    context.output.line(crate::output::printable(&format!(
        "{} {} {} {} {}{state}",
        event.revision,
        event.at,
        word(&event.kind),
        event.resource,
        word(&event.change),
    )))
}
