//! A console: what was printed, or, by an upgrade of the connection, the console itself, both ways as they are.

use std::time::Duration;

use compute::compute::ComputeError;
use compute::id::InstanceId;
use compute::outside::Console;
use hyper::header::HeaderValue;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use native_api::{
    CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ConsoleOffset, ConsoleQuery, ErrorBody, MAX_CONSOLE_BYTES,
    WaitMs,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::answer::{self, Answer};
use super::errors::OrRefuse;
use super::request::Input;
use super::{Call, StreamPlace, ended, upgrade};
use crate::server::Place;

/// GetConsole.
pub async fn get(
    call: &Call<'_>,
    id: InstanceId,
    query: ConsoleQuery,
    input: &mut Input,
    place: Place,
) -> Result<Answer, ErrorBody> {
    call.compute().instance(call.account(), id).await.or_refuse()?;
    if !upgrade::is_wanted(input.headers(), CONSOLE_PROTOCOL)? {
        return history(call, id, query).await;
    }
    let offset = query.offset.map(ConsoleOffset::get);
    // Before the upgrade, after which nothing can be refused any more.
    let stream = call.stream()?;
    let console = call.compute().machines().attach_console(id, offset).await;
    let console = console.map_err(ComputeError::from).or_refuse()?;
    let upgraded = hyper::upgrade::on(input.request_mut());
    tokio::spawn(carry(upgraded, console, call.ending.clone(), (place, stream)));
    Ok(upgrade::switching(CONSOLE_PROTOCOL))
}

async fn history(call: &Call<'_>, id: InstanceId, query: ConsoleQuery) -> Result<Answer, ErrorBody> {
    let machines = call.compute().machines();
    let from = query.offset.map_or(0, ConsoleOffset::get);
    let look = async || {
        machines.console(id, Some(from), MAX_CONSOLE_BYTES).await.map_err(ComputeError::from).or_refuse()
    };
    let mut output = look().await?;
    let wait = Duration::from_millis(query.wait_ms.map_or(0, WaitMs::get).into());
    if output.bytes.is_empty() && !wait.is_zero() {
        let _place = call.stream()?;
        tokio::select! {
            waited = timeout(wait, machines.wait_console(id, output.offset)) => {
                if let Ok(waited) = waited {
                    waited.map_err(ComputeError::from).or_refuse()?;
                }
            }
            () = ended(call.ending.clone()) => {}
        }
        output = look().await?;
    }
    let mut answer = answer::bytes("application/octet-stream", output.bytes);
    answer.headers_mut().insert(CONSOLE_OFFSET_HEADER, HeaderValue::from(output.offset));
    Ok(answer)
}

/// Carries bytes both ways until either side ends, or takes nothing for too long.
async fn carry(
    upgraded: OnUpgrade,
    mut console: Box<dyn Console>,
    ending: watch::Receiver<bool>,
    _places: (Place, StreamPlace),
) {
    let client = match upgraded.await {
        Ok(client) => client,
        Err(error) => return log::debug!("a console stream did not come about: {error}"),
    };
    let mut client = TokioIo::new(client);
    tokio::select! {
        result = tokio::io::copy_bidirectional(&mut client, &mut console) => {
            log::debug!("a console stream ended: {result:?}");
        }
        () = ended(ending) => {}
    }
}
