//! A TCP connection to an instance, handed on by an upgrade of the connection to us: both ways, and each to its own end.

use std::io;
use std::time::Duration;

use compute::compute::ComputeError;
use compute::id::InstanceId;
use compute::outside::Connection;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use native_api::{
    CONNECT_PROTOCOL, ConnectQuery, DEFAULT_CONNECT_PORT, DEFAULT_CONNECT_WAIT_MS, ErrorBody, TcpPort, WaitMs,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::sleep;

use super::answer::{Answer, done};
use super::errors::{OrRefuse, Refusal};
use super::request::Input;
use super::{Call, StreamPlace, ended, upgrade};
use crate::server::Place;

/// Bytes that are on their way at once, each way.
const BUFFER_BYTES: usize = 16 << 10;

/// Of a connection that has ended one way, the other ends when nothing came for this long: a client that is gone looks like
/// one that has said all, and must not keep its place for ever.
const HALF_OPEN: Duration = Duration::from_secs(3600);

/// ConnectToInstance.
pub async fn connect(
    call: &Call<'_>,
    id: InstanceId,
    query: ConnectQuery,
    input: &mut Input,
    place: Place,
) -> Result<Answer, ErrorBody> {
    let is_wanted = upgrade::is_wanted(input.headers(), CONNECT_PROTOCOL)?;
    let port = query.port.map_or(DEFAULT_CONNECT_PORT, TcpPort::get);
    let limit = Duration::from_millis(query.wait_ms.map_or(DEFAULT_CONNECT_WAIT_MS, WaitMs::get).into());
    let stream = call.stream()?;
    let guest = tokio::select! {
        connected = call.compute().connect(call.account(), id, port, limit) => connected.or_refuse()?,
        () = ended(call.ending.clone()) => return Err(ComputeError::Ending.refusal()),
    };
    if !is_wanted {
        return done();
    }
    let upgraded = hyper::upgrade::on(input.request_mut());
    tokio::spawn(carry(upgraded, guest, call.ending.clone(), (place, stream)));
    Ok(upgrade::switching(CONNECT_PROTOCOL))
}

/// Carries bytes until both ways have ended, one has broken, or the daemon ends.
async fn carry(
    upgraded: OnUpgrade,
    guest: Box<dyn Connection>,
    ending: watch::Receiver<bool>,
    _places: (Place, StreamPlace),
) {
    let client = match upgraded.await {
        Ok(client) => TokioIo::new(client),
        Err(error) => return log::debug!("a connection to an instance did not come about: {error}"),
    };
    tokio::select! {
        result = both_ways(client, guest, HALF_OPEN) => {
            log::debug!("a connection to an instance ended: {result:?}");
        }
        () = ended(ending) => {}
    }
}

async fn both_ways(
    client: impl AsyncRead + AsyncWrite,
    guest: impl AsyncRead + AsyncWrite,
    half_open: Duration,
) -> io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_guest, to_guest) = tokio::io::split(guest);
    let one_ended = watch::Sender::new(false);
    tokio::try_join!(
        one_way(from_client, to_guest, &one_ended, half_open),
        one_way(from_guest, to_client, &one_ended, half_open),
    )?;
    Ok(())
}

/// Carries bytes until there are no more, and says that behind the last.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    one_ended: &watch::Sender<bool>,
    half_open: Duration,
) -> io::Result<()> {
    let mut other = one_ended.subscribe();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = tokio::select! {
            count = from.read(&mut buffer) => count?,
            () = lonely(&mut other, half_open) => return Err(io::ErrorKind::TimedOut.into()),
        };
        if count == 0 {
            break;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
    one_ended.send_replace(true);
    to.shutdown().await
}

/// Returns a while after the other way has ended.
async fn lonely(other: &mut watch::Receiver<bool>, half_open: Duration) {
    // Its sender outlives both ways.
    let _ = other.wait_for(|ended| *ended).await;
    sleep(half_open).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn each_way_ends_by_itself() {
        runtime().block_on(async {
            let ((mut client, ours), (mut guest, theirs)) = (duplex(64), duplex(64));
            let carried = tokio::spawn(both_ways(ours, theirs, HALF_OPEN));
            // More than fits anywhere at once.
            let bytes = vec![7; 10 * BUFFER_BYTES];
            let sent = bytes.clone();
            let client = tokio::spawn(async move {
                client.write_all(&sent).await.unwrap();
                client.shutdown().await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                answer
            });
            let mut heard = Vec::new();
            guest.read_to_end(&mut heard).await.unwrap();
            assert!(heard == bytes);
            guest.write_all(b"all of it").await.unwrap();
            drop(guest);
            assert_eq!(client.await.unwrap(), "all of it");
            carried.await.unwrap().unwrap();
        });
    }

    #[test]
    fn what_is_half_open_does_not_stay_so() {
        runtime().block_on(async {
            let ((client, ours), (mut guest, theirs)) = (duplex(64), duplex(64));
            let carried = tokio::spawn(both_ways(ours, theirs, Duration::from_millis(20)));
            drop(client);
            assert_eq!(guest.read(&mut [0; 8]).await.unwrap(), 0);
            assert_eq!(carried.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }
}
