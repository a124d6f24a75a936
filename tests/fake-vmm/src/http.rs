//! The control socket's server: the same paths as `vmm::control`, without its limits on clients.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use vmm_api::{CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ErrorBody, ErrorCode, VmInfo};

use crate::machine::Machine;

/// Longest that a request waits for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

type HttpAnswer = Response<Full<Bytes>>;

/// Serves for ever.
pub async fn serve(listener: UnixListener, machine: Rc<Machine>) {
    let accepting = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let machine = Rc::clone(&machine);
            spawn_local(async move {
                let service = service_fn(|request| {
                    let machine = Rc::clone(&machine);
                    async move { Ok::<_, Infallible>(answer(request, &machine).await) }
                });
                // hyper keeps 400 KiB for a connection if it is not told otherwise.
                let connection = http1::Builder::new()
                    .max_buf_size(16 << 10)
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                // A client that goes is no news.
                let _ = connection.await;
            });
        }
    };
    LocalSet::new().run_until(accepting).await;
}

async fn answer(request: Request<Incoming>, machine: &Rc<Machine>) -> HttpAnswer {
    if machine.hangs() {
        std::future::pending::<()>().await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or("").to_owned();
    let number = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let wait = Duration::from_millis(number("wait_ms").unwrap_or(0)).min(LONGEST_WAIT);
    let info = match (&method, path.as_str()) {
        (&Method::GET, "/v1/vm") => Ok(machine.info()),
        (&Method::PUT, "/v1/vm") => configure(request, machine).await,
        (&Method::PATCH, path) if path.starts_with("/v1/vm/nics/") => {
            let index = path.rsplit('/').next().and_then(|index| index.parse().ok());
            update_nic(request, machine, index.unwrap_or(usize::MAX)).await
        }
        (&Method::POST, "/v1/vm/boot") => machine.boot().await,
        (&Method::POST, "/v1/vm/pause") => machine.pause(true),
        (&Method::POST, "/v1/vm/resume") => machine.pause(false),
        (&Method::POST, "/v1/vm/power-button") => machine.press_power_button(),
        (&Method::POST, "/v1/vm/reset") => machine.api_reset(),
        (&Method::POST, "/v1/vm/kill") => machine.kill(),
        (&Method::GET, "/v1/vm/events") => {
            let since = number("since").unwrap_or(0);
            let _ = timeout(wait, machine.wait_event(since)).await;
            return json(StatusCode::OK, &machine.events(since));
        }
        (&Method::GET, "/v1/vm/console") if request.headers().contains_key(UPGRADE) => {
            return attach(request, machine, number("offset"));
        }
        (&Method::GET, "/v1/vm/console") => {
            let offset = number("offset").unwrap_or(0);
            let _ = timeout(wait, machine.wait_console(offset)).await;
            let history = machine.console(offset);
            let mut answer = Response::new(Full::new(history.bytes.into()));
            answer.headers_mut().insert(CONSOLE_OFFSET_HEADER, history.offset.into());
            return answer;
        }
        (&Method::GET, "/v1/metrics") => {
            let info = machine.info();
            let text =
                format!("# TYPE bothy_vmm_boots_total counter\nbothy_vmm_boots_total {}\n", info.boots);
            return Response::new(Full::new(text.into()));
        }
        _ => Err(ErrorCode::NotFound.body(format!("there is no {method} {path}"), "")),
    };
    info.map_or_else(|error| refusal(&error), |info| json(StatusCode::OK, &info))
}

async fn configure(request: Request<Incoming>, machine: &Machine) -> Result<VmInfo, ErrorBody> {
    machine.configure(body(request).await?)
}

async fn update_nic(
    request: Request<Incoming>,
    machine: &Machine,
    index: usize,
) -> Result<VmInfo, ErrorBody> {
    machine.update_nic(index, &body(request).await?)
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ErrorBody> {
    let malformed = |message: String| ErrorCode::MalformedRequest.body(message, "");
    let body = request.into_body().collect().await.map_err(|error| malformed(error.to_string()))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| malformed(error.to_string()))
}

/// The console as a stream: output one way, and what is typed comes back as output.
fn attach(mut request: Request<Incoming>, machine: &Rc<Machine>, offset: Option<u64>) -> HttpAnswer {
    let upgraded = hyper::upgrade::on(&mut request);
    let machine = Rc::clone(machine);
    let mut offset = offset.unwrap_or_else(|| machine.console(u64::MAX).offset);
    spawn_local(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let printing = async {
            loop {
                machine.wait_console(offset).await;
                let news = machine.console(offset);
                offset = news.offset + news.bytes.len() as u64;
                writer.write_all(&news.bytes).await?;
                writer.flush().await?;
            }
        };
        let typing = async {
            let mut buffer = [0; 1024];
            loop {
                match reader.read(&mut buffer).await? {
                    0 => return Ok::<(), io::Error>(()),
                    count => machine.print(&buffer[..count]),
                }
            }
        };
        let _: io::Result<()> = tokio::select! {
            result = printing => result,
            result = typing => result,
        };
    });
    let answer = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let answer = answer.header(CONNECTION, "upgrade").header(UPGRADE, CONSOLE_PROTOCOL);
    answer.body(Full::default()).expect("these are valid headers")
}

fn refusal(error: &ErrorBody) -> HttpAnswer {
    json(StatusCode::from_u16(error.code.status()).expect("the table has valid statuses"), error)
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> HttpAnswer {
    let text = serde_json::to_vec(value).expect("they are made of strings and numbers alone");
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer
}
