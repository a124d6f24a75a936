//! The contract of bothyd's native API: what may be asked, what is answered, and a client for it.
//!
//! Types, and one table of routes (`ROUTES`) which the OpenAPI document, the client and the daemon's router all come from.
//! Everything the daemon and its callers share is here and nothing else. The daemon's side is `dialects::native`; callers
//! enable the feature `client`.

mod access;
mod error;
mod instance;
mod key_pair;
mod network;
mod node;
mod number;
mod page;
mod routes;
mod text;
mod volume;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "openapi")]
mod openapi;

pub use access::*;
pub use error::{ErrorBody, ErrorCode};
pub use instance::*;
pub use key_pair::*;
pub use network::*;
pub use node::*;
pub use number::{
    ConsoleOffset, HopLimit, LaunchCount, NumberError, PageSize, PeriodCount, PortNumber, Priority, Quota,
    Revision, SessionSeconds, SizeGib, SizeMib, TcpPort, WaitMs,
};
pub use page::{MAX_TAGS, Page, PageQuery, Rename, SetTags, Tags, TagsError};
pub use routes::{
    Access, Content, EVERYWHERE, Found, Method, NotFound, Operation, PATH_PARAMETERS, ROUTES, Route, Success,
    WITH_CREDENTIALS, find,
};
pub use text::*;
pub use volume::*;

#[cfg(feature = "client")]
pub use client::{
    ByteStream, Client, ClientError, ConsoleHistory, Credentials, Endpoint, EndpointError, EventStream,
    Options,
};
#[cfg(feature = "openapi")]
pub use openapi::openapi;

/// Largest request body that the daemon reads, in bytes. The largest launch stays well below.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Most bytes of user data, before base64.
pub const MAX_USER_DATA_BYTES: usize = 32 << 10;

/// Most bytes of console output in one answer. One that has as many may have more behind it: ask again from its end.
pub const MAX_CONSOLE_BYTES: usize = 1 << 20;

/// Items on a page, if the request does not say.
pub const DEFAULT_PAGE_SIZE: u32 = 100;

/// Name of the protocol asked for in `Upgrade:` to attach to a console in both directions.
pub const CONSOLE_PROTOCOL: &str = "bothy-console";

/// Name of the protocol asked for in `Upgrade:` to get a TCP connection to an instance: its bytes as they are, both ways.
pub const CONNECT_PROTOCOL: &str = "bothy-tcp";

/// The port of such a connection, if the request does not say: ssh.
pub const DEFAULT_CONNECT_PORT: u16 = 22;

/// How long the guest is waited for then, in milliseconds, if the request does not say.
pub const DEFAULT_CONNECT_WAIT_MS: u32 = 10_000;

/// Response header that carries the console offset of the first byte of the body.
pub const CONSOLE_OFFSET_HEADER: &str = "bothy-console-offset";

/// Request header by which the operator says for which account: its id. Without it, the default account.
pub const ACCOUNT_HEADER: &str = "bothy-account";

/// Request header with the token of temporary credentials.
pub const SECURITY_TOKEN_HEADER: &str = "bothy-security-token";

/// Where the daemon listens, if nothing else was configured.
pub const DEFAULT_SOCKET: &str = "/run/bothy/api.sock";
