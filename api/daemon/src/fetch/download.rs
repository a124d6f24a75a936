//! A file on its way from a server to the store: asked for again where its connection broke, as long as that gets it further.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use compute::id::JobId;
use compute::outside::{Done, HostError, Progressing, UrlSource};
use reqwest::Response;
use reqwest::header::{ETAG, HeaderValue, IF_RANGE, RANGE};
use storage::store::{Download, StoreError, Version};

use super::client::{BodyBytes, Client, Failure, body_bytes};
use super::{Fetcher, refused};
use crate::fail;

/// How often a server is asked without a byte more.
const TRIES: u32 = 5;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1 << 20;

/// The download of one job.
struct Fetching<'a> {
    fetcher: &'a Fetcher,
    job: JobId,
    source: &'a UrlSource,
    progress: &'a Progressing,
    client: Client,
    /// Only ever used by one at a time: here, or on a thread that writes.
    download: Arc<Mutex<Download>>,
}

/// The whole file, and where it is.
pub async fn whole(
    fetcher: &Fetcher,
    job: JobId,
    source: &UrlSource,
    progress: &Progressing,
) -> Result<PathBuf, HostError> {
    fail::point("image.fetching");
    let client = Client::new(source, &fetcher.options).map_err(|failure| failure.into_error(source))?;
    let download = fetcher.in_store(move |store| store.download(&job.to_string())).await?;
    let download = Arc::new(Mutex::new(download));
    let fetching = Fetching { fetcher, job, source, progress, client, download };
    fetching.until_whole().await?;
    let Fetching { download, .. } = fetching;
    let download = Arc::into_inner(download).ok_or_else(|| refused(source, "it is still written to"))?;
    let download = download.into_inner().unwrap_or_else(PoisonError::into_inner);
    let path = fetcher.in_store(move |_| download.finish()).await?;
    fail::point("image.fetched");
    Ok(path)
}

impl Fetching<'_> {
    async fn until_whole(&self) -> Result<(), HostError> {
        let (mut tries, mut pause) = (0, self.fetcher.options.pause);
        loop {
            let before = self.offset();
            let why = match self.go_on().await {
                Ok(()) => return Ok(()),
                Err(Failure::Passing(why)) => why,
                Err(failure) => return Err(failure.into_error(self.source)),
            };
            // A daemon that ends now has got so far.
            self.store(|download| download.keep()).await?;
            if self.offset() > before {
                (tries, pause) = (0, self.fetcher.options.pause);
            }
            tries += 1;
            if tries >= TRIES {
                return Err(refused(self.source, &why));
            }
            log::warn!(
                "{}: asks for {} again, from byte {} on: {why}",
                self.job,
                self.source.url,
                self.offset()
            );
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// One request: for all of it, or for what is not there yet.
    async fn go_on(&self) -> Result<(), Failure> {
        let (offset, version) = self.there();
        let rest = version.filter(|version| offset > 0 && version.url == self.source.url.as_str());
        if rest.as_ref().is_some_and(|version| version.bytes == Some(offset)) {
            return Ok(());
        }
        let tag = rest.as_ref().and_then(|version| version.tag.as_deref());
        let headers = match tag.map(HeaderValue::from_str) {
            Some(Ok(tag)) => vec![(RANGE, header(&format!("bytes={offset}-"))?), (IF_RANGE, tag)],
            Some(Err(_)) | None => Vec::new(),
        };
        let is_rest = !headers.is_empty();
        let response = match self.client.get(headers).await {
            Err(Failure::Range) => return Err(self.other_file().await),
            answer => answer?,
        };
        let of = match body_bytes(&response) {
            BodyBytes::From(from, of) if is_rest => {
                let known = rest.and_then(|version| version.bytes);
                if from != offset || known.is_some() && of != known {
                    return Err(self.other_file().await);
                }
                known.or(of)
            }
            BodyBytes::From(..) => {
                return Err(Failure::passing("the server sent a part that nobody asked for"));
            }
            BodyBytes::Endless => {
                let why =
                    "the server does not say where it ends, so that a part could be taken for all of it";
                return Err(Failure::Refused(why.to_owned()));
            }
            BodyBytes::All(of) => {
                self.begin(tag_of(&response), of).await?;
                of
            }
        };
        self.check_room(of).await?;
        self.receive(response, of).await
    }

    /// Takes what comes, to its end.
    async fn receive(&self, mut response: Response, of: Option<u64>) -> Result<(), Failure> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        (self.progress)(Done { bytes: self.offset(), of: of.unwrap_or(0) });
        loop {
            let came = response.chunk().await;
            if let Ok(Some(chunk)) = &came {
                piece.extend_from_slice(chunk);
            }
            // What came before the connection broke came.
            if piece.len() >= PIECE_BYTES || !matches!(came, Ok(Some(_))) {
                self.check_size(self.offset() + piece.len() as u64)?;
                let data = std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES));
                self.store(move |download| download.write(&data)).await.map_err(Failure::Final)?;
                fail::point("image.receiving");
                (self.progress)(Done { bytes: self.offset(), of: of.unwrap_or(0) });
            }
            match came {
                Ok(Some(_)) => {}
                Ok(None) if of.is_none_or(|of| of == self.offset()) => return Ok(()),
                Ok(None) => return Err(Failure::passing("it has another length than the server said")),
                Err(error) => return Err(Failure::of(&error)),
            }
        }
    }

    /// Sees that it is not too large, and that it fits on the disk.
    async fn check_room(&self, of: Option<u64>) -> Result<(), Failure> {
        let Some(of) = of else { return Ok(()) };
        self.check_size(of)?;
        let (left, name) = (of.saturating_sub(self.offset()), self.job.to_string());
        let room = self.fetcher.in_store(move |store| store.room_for_download(&name, left));
        room.await.map_err(Failure::Final)
    }

    fn check_size(&self, bytes: u64) -> Result<(), Failure> {
        let limit = self.fetcher.store.max_download_bytes();
        if bytes <= limit {
            return Ok(());
        }
        let why = format!("it has {bytes} bytes or more, and {limit} are allowed here");
        Err(Failure::Refused(why))
    }

    /// What is there is not the beginning of what the server has: the next request is for all of that.
    async fn other_file(&self) -> Failure {
        match self.begin(None, None).await {
            Ok(()) => Failure::passing("the server sent another part than it was asked for"),
            Err(failure) => failure,
        }
    }

    async fn begin(&self, tag: Option<String>, bytes: Option<u64>) -> Result<(), Failure> {
        let version = Version { url: self.source.url.as_str().to_owned(), tag, bytes };
        self.store(move |download| download.begin(version)).await.map_err(Failure::Final)
    }

    fn there(&self) -> (u64, Option<Version>) {
        let download = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        (download.offset(), download.version().cloned())
    }

    fn offset(&self) -> u64 {
        self.there().0
    }

    /// Does something with the file, on a thread where waiting for a disk harms nobody.
    async fn store(
        &self,
        work: impl FnOnce(&mut Download) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), HostError> {
        let download = Arc::clone(&self.download);
        let work = move |_: &_| work(&mut download.lock().unwrap_or_else(PoisonError::into_inner));
        self.fetcher.in_store(work).await
    }
}

/// What the server calls its content, if that is the same only for the same bytes: weak tags are not.
fn tag_of(response: &Response) -> Option<String> {
    let tag = response.headers().get(ETAG)?.to_str().ok()?;
    tag.starts_with('"').then(|| tag.to_owned())
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::passing("a range that cannot be sent"))
}
