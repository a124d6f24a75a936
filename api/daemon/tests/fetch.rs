//! Images are fetched from servers, whatever those do: whole or not at all, from where they may be, and no larger than allowed.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod server;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bothyd::fetch::{Fetcher, Options};
use compute::id::JobId;
use compute::image_url::{ImageUrl, UrlPrefix};
use compute::outside::{Done, HostError, UrlSource};
use rustls::RootCertStore;
use server::{Server, head, send};
use storage::store::{Limits, Store};

/// Everything of one test.
struct Place {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    fetcher: Fetcher,
    told: Arc<Mutex<Vec<Done>>>,
}

fn options() -> Options {
    Options {
        roots: Some(RootCertStore::empty()),
        proxies: false,
        idle: Duration::from_millis(500),
        total: Duration::from_secs(20),
        peek: Duration::from_secs(2),
        pause: Duration::from_millis(5),
    }
}

impl Place {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { max_image_bytes: 8 << 20, ..Limits::default() };
        let store = Arc::new(Store::open(folder.path(), limits).unwrap());
        let fetcher = Fetcher::new(Arc::clone(&store), options);
        Self { _folder: folder, store, fetcher, told: Arc::default() }
    }

    /// The same place with the next daemon.
    fn again(self) -> Self {
        let Self { _folder, store, fetcher, told } = self;
        drop((store, fetcher));
        let store = Arc::new(Store::open(_folder.path(), Limits::default()).unwrap());
        let fetcher = Fetcher::new(Arc::clone(&store), options());
        Self { _folder, store, fetcher, told }
    }

    async fn fetch(&self, source: &UrlSource) -> Result<PathBuf, HostError> {
        let told = Arc::clone(&self.told);
        self.fetcher
            .fetch(JobId::new(1), source, &(Arc::new(move |done| told.lock().unwrap().push(done)) as _))
            .await
    }

    /// Why it is not fetched. No file has a name then.
    async fn refused(&self, source: &UrlSource) -> String {
        let error = self.fetch(source).await.unwrap_err();
        assert_eq!(self.store.downloaded("job-00000001").unwrap(), None);
        match error {
            HostError::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn at(url: &str) -> UrlSource {
    UrlSource { url: ImageUrl::parse(url).unwrap(), within: Vec::new() }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

const TAG: &str = "\"one\"";

#[tokio::test]
async fn a_file_is_fetched_once_and_told_as_it_comes() {
    let (place, whole) = (Place::new(options()), content(3 << 20));
    let body = whole.clone();
    let server = Server::start(move |asked, wire| send(asked, wire, &body, TAG, usize::MAX));
    let source = at(&server.url("/a/disk.raw?signature=secret"));
    let path = place.fetch(&source).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
    assert_eq!(place.fetch(&source).await.unwrap(), path);
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "what is there is not asked for");
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("GET", "/a/disk.raw?signature=secret"));
    assert_eq!((asked[0].header("accept-encoding"), asked[0].header("range")), ("identity", ""));
    let told = place.told.lock().unwrap().clone();
    assert_eq!(told.first(), Some(&Done { bytes: 0, of: 3 << 20 }));
    assert_eq!(told.last(), Some(&Done { bytes: 3 << 20, of: 3 << 20 }));
    assert!(told.is_sorted_by_key(|done| done.bytes) && told.len() >= 4, "{told:?}");
    assert_eq!(place.store.present().unwrap().downloads, ["job-00000001"]);
    place.fetcher.delete(JobId::new(1)).await.unwrap();
    place.fetcher.delete(JobId::new(1)).await.unwrap();
    assert!(place.store.present().unwrap().downloads.is_empty() && !path.exists());
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let (place, whole) = (Place::new(options()), content(3 << 20));
    let body = whole.clone();
    let server = Server::start(move |asked, wire| send(asked, wire, &body, TAG, 700_000));
    let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
    let asked: Vec<_> = server
        .asked()
        .iter()
        .map(|it| (it.header("range").to_owned(), it.header("if-range").to_owned()))
        .collect();
    assert_eq!(asked[0], (String::new(), String::new()));
    let ranges: Vec<String> = (1..5).map(|number| format!("bytes={}-", 700_000 * number)).collect();
    assert_eq!(asked[1..].iter().map(|it| it.0.clone()).collect::<Vec<_>>(), ranges);
    assert!(asked[1..].iter().all(|it| it.1 == TAG), "{asked:?}");
}

#[tokio::test]
async fn another_version_begins_anew() {
    // The file is another one once it was asked for, and then it stays.
    let (place, old, new) = (Place::new(options()), content(1 << 20), content(900_001));
    let (times, body) = (AtomicUsize::new(0), new.clone());
    let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
        0 => send(asked, wire, &old, TAG, 500_000),
        _ => send(asked, wire, &body, "\"two\"", 600_000),
    });
    let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == new);
    assert_eq!(server.asked().len(), 3);

    // Tags that do not stand for bytes, or none: never by parts.
    for tag in ["W/\"one\"", ""] {
        let (place, times, body) = (Place::new(options()), AtomicUsize::new(0), new.clone());
        let server = Server::start(move |asked, wire| {
            let most = if times.fetch_add(1, Ordering::SeqCst) == 0 { 500_000 } else { usize::MAX };
            send(asked, wire, &body, tag, most);
        });
        let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == new);
        assert!(server.asked().iter().all(|asked| asked.header("range").is_empty()), "{tag}");
    }

    // It is shorter now, and its server looks at no condition.
    let (place, times, body) = (Place::new(options()), AtomicUsize::new(0), new.clone());
    let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
        0 => send(asked, wire, &content(2 << 20), TAG, 1_500_000),
        1 => head(wire, "416 Range Not Satisfiable", &[]),
        _ => send(asked, wire, &body, TAG, usize::MAX),
    });
    let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == new);

    // The part is not the one that was asked for.
    for range in ["bytes 0-899999/900001", "bytes 500000-900000/900002", "nonsense"] {
        let (place, times, body) = (Place::new(options()), AtomicUsize::new(0), new.clone());
        let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
            0 => send(asked, wire, &body, TAG, 500_000),
            1 => head(wire, "206 Partial Content", &[("Content-Range", range), ("Content-Length", "0")]),
            _ => send(asked, wire, &body, TAG, usize::MAX),
        });
        let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == new, "{range}");
    }
}

#[tokio::test]
async fn a_daemon_that_died_goes_on_where_it_was() {
    let (place, whole) = (Place::new(options()), content(2 << 20));
    let (times, body) = (AtomicUsize::new(0), whole.clone());
    let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
        0 => send(asked, wire, &body, TAG, 1_200_000),
        1 => std::thread::sleep(Duration::from_secs(60)),
        _ => send(asked, wire, &body, TAG, usize::MAX),
    });
    let source = at(&server.url("/disk.raw"));
    {
        let fetching = place.fetch(&source);
        tokio::pin!(fetching);
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.asked().len() < 2 {
            assert!(Instant::now() < deadline, "it never asks again");
            let step = tokio::time::timeout(Duration::from_millis(10), &mut fetching).await;
            assert!(step.is_err(), "{step:?}");
        }
    }
    let place = place.again();
    let path = place.fetch(&source).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
    assert_eq!(server.asked()[2].header("range"), "bytes=1200000-");
}

#[tokio::test]
async fn what_a_server_refuses_is_told_at_once_and_what_may_pass_is_asked_for_again() {
    let server = Server::start(|asked, wire| {
        head(wire, asked.target.trim_start_matches('/'), &[("Content-Length", "0")])
    });
    for status in ["400", "401", "403", "404", "410", "204", "304"] {
        let place = Place::new(options());
        let before = server.asked().len();
        let why = place.refused(&at(&server.url(&format!("/{status}")))).await;
        assert!(why.contains(&format!("the server answers {status}")), "{why}");
        assert_eq!(server.asked().len(), before + 1, "{status}");
    }
    for status in ["408", "429", "500", "503"] {
        let place = Place::new(options());
        let before = server.asked().len();
        let why = place.refused(&at(&server.url(&format!("/{status}")))).await;
        assert!(why.contains(status), "{why}");
        assert_eq!(server.asked().len(), before + 5, "{status}");
    }
    let (place, whole, times) = (Place::new(options()), content(10_000), AtomicUsize::new(0));
    let body = whole.clone();
    let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
        0..3 => head(wire, "503 Service Unavailable", &[("Content-Length", "0")]),
        _ => send(asked, wire, &body, TAG, usize::MAX),
    });
    let path = place.fetch(&at(&server.url("/disk.raw"))).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[tokio::test]
async fn a_server_that_lies_or_is_silent_gives_no_image() {
    let server = Server::start(|asked, wire| match asked.target.as_str() {
        "/short" => {
            head(wire, "200 OK", &[("Content-Length", "1000"), ("ETag", TAG)]);
            let _ = wire.write_all(&[7; 100]);
        }
        "/endless" => {
            head(wire, "200 OK", &[]);
            let _ = wire.write_all(&[7; 100]);
        }
        "/cut" => {
            head(wire, "200 OK", &[("Transfer-Encoding", "chunked")]);
            let _ = wire.write_all(b"64\r\n");
            let _ = wire.write_all(&[7; 100]);
        }
        "/encoded" => head(wire, "200 OK", &[("Content-Length", "3"), ("Content-Encoding", "gzip")]),
        "/silent" => std::thread::sleep(Duration::from_secs(60)),
        "/stalls" => {
            head(wire, "200 OK", &[("Content-Length", "1000")]);
            let _ = wire.write_all(&[7; 100]);
            let _ = wire.flush();
            std::thread::sleep(Duration::from_secs(60));
        }
        "/long" => head(wire, "200 OK", &[("Content-Length", "900000000")]),
        "/more" => {
            head(wire, "200 OK", &[("Transfer-Encoding", "chunked")]);
            while wire.write_all(b"10000\r\n").and_then(|()| wire.write_all(&[7; 0x1_0000])).is_ok() {
                let _ = wire.write_all(b"\r\n");
            }
        }
        other => panic!("{other}"),
    });
    for (path, part) in [
        ("/short", "the connection broke"),
        ("/endless", "does not say where it ends"),
        ("/cut", "the connection broke"),
        ("/encoded", "encoded (gzip)"),
        ("/silent", "sends nothing"),
        ("/stalls", "sends nothing"),
        ("/long", "900000000 bytes"),
        ("/more", "are allowed here"),
    ] {
        let place = Place::new(options());
        let why = place.refused(&at(&server.url(path))).await;
        assert!(why.contains(part) && why.contains(path), "{path}: {why}");
    }
    // Whoever sends a byte now and then is not silent, and still has an end.
    let server = Server::start(|_, wire| {
        head(wire, "200 OK", &[("Content-Length", "1000")]);
        while wire.write_all(&[7]).and_then(|()| wire.flush()).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let place = Place::new(Options { total: Duration::from_secs(2), ..options() });
    let why = place.refused(&at(&server.url("/slow"))).await;
    assert!(why.contains("is not there after"), "{why}");
}

#[tokio::test]
async fn who_cannot_be_asked_is_named() {
    let place = Place::new(options());
    let why = place.refused(&at("http://nobody.invalid/disk.raw")).await;
    assert!(why.contains("nobody.invalid") && why.contains("name is not known"), "{why}");
    // A port that nobody has any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = place.refused(&at(&format!("http://{closed}/disk.raw?signature=secret"))).await;
    assert!(why.contains("cannot be reached") && !why.contains("secret"), "{why}");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever_and_not_out_of_where_images_may_be() {
    let whole = content(10_000);
    let body = whole.clone();
    let other = Server::start(move |asked, wire| send(asked, wire, &body, TAG, usize::MAX));
    let elsewhere = other.url("/pub/disk.raw");
    let body = whole.clone();
    let server = Server::start(move |asked, wire| {
        let to = |wire: &mut dyn server::Wire, location: &str| {
            head(wire, "302 Found", &[("Location", location), ("Content-Length", "0")]);
        };
        match asked.target.as_str() {
            "/pub/disk.raw" => send(asked, wire, &body, TAG, usize::MAX),
            "/pub/one" => to(wire, "/pub/disk.raw?mirror=1"),
            "/pub/disk.raw?mirror=1" => send(asked, wire, &body, TAG, usize::MAX),
            "/pub/round" => to(wire, "/pub/round"),
            "/pub/up" => to(wire, "/private/disk.raw"),
            "/pub/elsewhere" => to(wire, &elsewhere),
            "/pub/file" => to(wire, "file:///etc/passwd"),
            "/pub/user" => to(wire, "http://me:word@127.0.0.1/"),
            other => panic!("{other}"),
        }
    });
    for path in ["/pub/one", "/pub/elsewhere"] {
        let fetched = Place::new(options()).fetch(&at(&server.url(path))).await;
        assert!(fetched.is_ok(), "{path}: {fetched:?}");
    }
    let within = vec![UrlPrefix::parse(&server.url("/pub/")).unwrap()];
    let inside = |path: &str| UrlSource { within: within.clone(), ..at(&server.url(path)) };
    Place::new(options()).fetch(&inside("/pub/one")).await.unwrap();
    let asked = other.asked().len();
    for (source, part) in [
        (inside("/pub/up"), "leads out of where images may be"),
        (inside("/pub/elsewhere"), "leads out of where images may be"),
        (at(&server.url("/pub/round")), "more than 5 times"),
        (at(&server.url("/pub/user")), "no URL of an image"),
    ] {
        let why = Place::new(options()).refused(&source).await;
        assert!(why.contains(part), "{source:?}: {why}");
        let looked = Place::new(options()).fetcher.peek(&source, 100).await.unwrap_err();
        assert!(looked.to_string().contains(part), "{looked}");
    }
    Place::new(options()).fetch(&at(&server.url("/pub/file"))).await.unwrap_err();
    assert_eq!(other.asked().len(), asked, "who is outside is not asked");
}

/// A server with a certificate of its own, for this name, and whom to trust so that it is taken.
fn with_tls(name: &str, location: Option<String>) -> (Server, RootCertStore) {
    let (server, certificate) = Server::tls(name, move |asked, wire| match &location {
        Some(location) => head(wire, "302 Found", &[("Location", location), ("Content-Length", "0")]),
        None => send(asked, wire, &content(10_000), TAG, usize::MAX),
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    (server, roots)
}

#[tokio::test]
async fn tls_is_with_whom_is_trusted_and_never_given_up_on_the_way() {
    let (server, roots) = with_tls("127.0.0.1", None);
    let source = at(&format!("https://{}/disk.raw", server.address));
    let place = Place::new(Options { roots: Some(roots), ..options() });
    let path = place.fetch(&source).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content(10_000));

    let why = Place::new(options()).refused(&source).await;
    assert!(why.contains("TLS is refused") && why.contains("certificate"), "{why}");
    let (other, roots) = with_tls("images.example.org", None);
    let place = Place::new(Options { roots: Some(roots), ..options() });
    let why = place.refused(&at(&format!("https://{}/disk.raw", other.address))).await;
    assert!(why.contains("TLS is refused"), "{why}");

    let plain = Server::start(|asked, wire| send(asked, wire, &content(10_000), TAG, usize::MAX));
    let (server, roots) = with_tls("127.0.0.1", Some(plain.url("/disk.raw")));
    let place = Place::new(Options { roots: Some(roots), ..options() });
    let why = place.refused(&at(&format!("https://{}/disk.raw", server.address))).await;
    assert!(why.contains("from https to http"), "{why}");
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn a_look_takes_no_more_than_the_beginning() {
    let whole = content(1 << 20);
    let body = whole.clone();
    let server = Server::start(move |asked, wire| match asked.target.as_str() {
        "/ranges" => {
            head(
                wire,
                "206 Partial Content",
                &[("Content-Range", "bytes 0-99/1048576"), ("Content-Length", "100")],
            );
            let _ = wire.write_all(&body[..100]);
        }
        "/whole" => {
            head(wire, "200 OK", &[("Content-Length", "1048576")]);
            let _ = wire.write_all(&body);
        }
        "/chunked" => {
            head(wire, "200 OK", &[("Transfer-Encoding", "chunked")]);
            let _ = wire.write_all(b"5\r\nhello\r\n0\r\n\r\n");
        }
        "/silent" => std::thread::sleep(Duration::from_secs(60)),
        _ => head(wire, "404 Not Found", &[("Content-Length", "0")]),
    });
    let place = Place::new(Options { idle: Duration::from_secs(60), ..options() });
    for path in ["/ranges", "/whole"] {
        let beginning = place.fetcher.peek(&at(&server.url(path)), 100).await.unwrap();
        assert!(beginning.bytes == whole[..100] && beginning.of == Some(1 << 20), "{path}");
    }
    assert_eq!(server.asked()[0].header("range"), "bytes=0-99");
    let beginning = place.fetcher.peek(&at(&server.url("/chunked")), 100).await.unwrap();
    assert_eq!((beginning.bytes.as_slice(), beginning.of), (b"hello".as_slice(), None));
    let refused = place.fetcher.peek(&at(&server.url("/none")), 100).await.unwrap_err();
    assert!(matches!(&refused, HostError::Refused(why) if why.contains("404")), "{refused}");
    for (source, part) in [
        (at(&server.url("/silent")), "no answer within 2 seconds"),
        (at("http://nobody.invalid/disk.raw"), "name is not known"),
    ] {
        let failed = place.fetcher.peek(&source, 100).await.unwrap_err();
        assert!(matches!(&failed, HostError::Failed(why) if why.contains(part)), "{failed}");
    }
}
