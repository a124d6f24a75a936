//! What can be asked: one row for each method and path, and one match for what it does.

use std::future::Future;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request};
use tokio::time::timeout;
use vmm_api::{CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ErrorBody, ErrorCode, NicUpdate, VmConfig};

use super::answer::{self, Answer};
use super::request::{json, no_body, numbers};
use super::{Client, console, events};
use crate::machine::{Action, Handle};

/// Longest that a request waits for something to happen; asks for more are cut.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A row: method, path, and what it is. A part of a path in braces stands for a number.
pub type Route = (Method, &'static str, Endpoint);

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Endpoint {
    /// The VM's state.
    Info,
    /// A new configuration.
    Configure,
    /// A change of a network interface.
    UpdateNic,
    /// An action without more to say.
    Act(fn() -> Action),
    /// What happened.
    Events,
    /// The console's history, or the console as a stream.
    Console,
    /// Counters.
    Metrics,
}

/// All of it.
pub const ROUTES: &[Route] = &[
    (Method::GET, "/v1/vm", Endpoint::Info),
    (Method::PUT, "/v1/vm", Endpoint::Configure),
    (Method::PATCH, "/v1/vm/nics/{index}", Endpoint::UpdateNic),
    (Method::POST, "/v1/vm/boot", Endpoint::Act(|| Action::Boot)),
    (Method::POST, "/v1/vm/pause", Endpoint::Act(|| Action::Pause)),
    (Method::POST, "/v1/vm/resume", Endpoint::Act(|| Action::Resume)),
    (Method::POST, "/v1/vm/power-button", Endpoint::Act(|| Action::PowerButton)),
    (Method::POST, "/v1/vm/reset", Endpoint::Act(|| Action::Reset)),
    (Method::POST, "/v1/vm/kill", Endpoint::Act(|| Action::Kill)),
    (Method::GET, "/v1/vm/events", Endpoint::Events),
    (Method::GET, "/v1/vm/console", Endpoint::Console),
    (Method::GET, "/v1/metrics", Endpoint::Metrics),
];

/// Answers a request.
pub async fn answer(request: Request<Incoming>, client: Client) -> Answer {
    let path = request.uri().path();
    match ROUTES.iter().find(|(method, route, _)| is_at(route, path) && method == request.method()) {
        Some((_, _, endpoint)) => {
            let answer = handle(*endpoint, request, client).await;
            answer.unwrap_or_else(|error| answer::error(&error))
        }
        None => no_route(request.method(), path),
    }
}

/// Whether a path is what a row names.
fn is_at(route: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(name), Some(part)) if name == part => {}
            (Some(name), Some(part)) if name.starts_with('{') => {
                if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

async fn handle(endpoint: Endpoint, request: Request<Incoming>, client: Client) -> Result<Answer, ErrorBody> {
    let machine = &client.machine;
    let query = request.uri().query().map(str::to_owned);
    let query = query.as_deref();
    match endpoint {
        Endpoint::Info => {
            let [] = numbers(query, [])?;
            no_body(request).await?;
            Ok(answer::json(&machine.info()))
        }
        Endpoint::Configure => {
            let [] = numbers(query, [])?;
            let config: VmConfig = json(request).await?;
            act(machine, Action::Configure(Box::new(config))).await
        }
        Endpoint::UpdateNic => {
            let [] = numbers(query, [])?;
            // One that is too large for a number is the number of no interface.
            let last = request.uri().path().rsplit('/').next();
            let index = last.and_then(|index| index.parse().ok()).unwrap_or(usize::MAX);
            let update: NicUpdate = json(request).await?;
            act(machine, Action::UpdateNic(index, update)).await
        }
        Endpoint::Act(action) => {
            let [] = numbers(query, [])?;
            no_body(request).await?;
            act(machine, action()).await
        }
        Endpoint::Events => {
            let [since, wait_ms] = numbers(query, ["since", "wait_ms"])?;
            if events::wants_stream(request.headers()) {
                let since = events::last_seen(request.headers()).or(since).unwrap_or(0);
                no_body(request).await?;
                return Ok(events::stream(client, since));
            }
            no_body(request).await?;
            let since = since.unwrap_or(0);
            wait(&client, wait_ms, machine.events().wait(since)).await;
            Ok(answer::json(&machine.events().page(since)))
        }
        Endpoint::Console => {
            let [offset, wait_ms] = numbers(query, ["offset", "wait_ms"])?;
            match console::wanted_protocol(request.headers()) {
                Some(protocol) if protocol == CONSOLE_PROTOCOL => {
                    console::attach(request, client, offset).await
                }
                Some(_) => Err(ErrorCode::MalformedRequest.body(
                    "the connection cannot be upgraded to that",
                    format!("ask for {CONSOLE_PROTOCOL}"),
                )),
                None => {
                    no_body(request).await?;
                    wait(&client, wait_ms, machine.console().wait_output(offset.unwrap_or(0))).await;
                    let history = console::piece(machine.console(), offset);
                    let mut answer = answer::bytes("application/octet-stream", history.bytes);
                    answer.headers_mut().insert(CONSOLE_OFFSET_HEADER, history.offset.into());
                    Ok(answer)
                }
            }
        }
        Endpoint::Metrics => {
            let [] = numbers(query, [])?;
            no_body(request).await?;
            Ok(answer::bytes("text/plain; version=0.0.4", machine.metrics_text()))
        }
    }
}

/// Waits for something to happen, as long as the client wants. That nothing happened is an answer too, so that there is
/// nothing to return.
async fn wait(client: &Client, wait_ms: Option<u64>, happening: impl Future<Output = ()>) {
    let limit = Duration::from_millis(wait_ms.unwrap_or(0)).min(LONGEST_WAIT);
    tokio::select! {
        _ = timeout(limit, happening) => {}
        () = client.ending() => {}
    }
}

async fn act(machine: &Handle, action: Action) -> Result<Answer, ErrorBody> {
    match machine.ask(action).await {
        Ok(answer) => answer.map(|info| answer::json(&info)),
        Err(_) => Err(ErrorCode::ShuttingDown.body("the VMM is ending", "start a new bothy-vmm process")),
    }
}

fn no_route(method: &Method, path: &str) -> Answer {
    let allowed: Vec<&str> = ROUTES
        .iter()
        .filter(|(_, route, _)| is_at(route, path))
        .map(|(method, _, _)| method.as_str())
        .collect();
    if allowed.is_empty() {
        let mut paths: Vec<&str> = ROUTES.iter().map(|(_, route, _)| *route).collect();
        paths.dedup();
        let hint = format!("there are {}", paths.join(", "));
        return answer::error(&ErrorCode::NotFound.body(format!("there is no {path}"), hint));
    }
    let allowed = allowed.join(", ");
    let error = ErrorCode::MethodNotAllowed
        .body(format!("{path} does not take {method}"), format!("it takes {allowed}"));
    let mut answer = answer::error(&error);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_str(&allowed).expect("names of methods"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_numbers() {
        for (route, path, expected) in [
            ("/v1/vm", "/v1/vm", true),
            ("/v1/vm", "/v1/vm/", false),
            ("/v1/vm", "/v1", false),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/0", true),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/99999999999999999999999", true),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/", false),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/-1", false),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/{index}", false),
            ("/v1/vm/nics/{index}", "/v1/vm/nics/0/x", false),
        ] {
            assert_eq!(is_at(route, path), expected, "{path}");
        }
    }
}
