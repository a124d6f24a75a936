//! Who is at the other end of a connection, and what policies can ask about that.

use std::net::SocketAddr;

use compute::access::Context;
use jiff::Timestamp;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The operator of the host.
    Operator,
    /// Somebody of the host who is not the operator.
    Stranger {
        /// The user's number.
        uid: u32,
    },
    /// Somebody on the network, who has to show an access key.
    Network {
        /// From where.
        address: SocketAddr,
        /// Whether nobody in between can read it.
        encrypted: bool,
    },
}

/// Who is the operator on a unix socket, besides root and the user that the daemon runs as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operators {
    /// Members of this group.
    pub gid: Option<u32>,
}

impl Peer {
    /// What is known of a request from here, under the keys of each cloud.
    pub fn context(self, now: Timestamp) -> Context {
        let mut context = Context::default();
        let (source, encrypted) = match self {
            Self::Network { address, encrypted } => (Some(address.ip().to_canonical()), encrypted),
            Self::Operator | Self::Stranger { .. } => (None, true),
        };
        for cloud in ["bothy", "acs", "aws"] {
            if let Some(source) = source {
                context.add(&format!("{cloud}:SourceIp"), source.to_string());
            }
            context.add(&format!("{cloud}:SecureTransport"), encrypted.to_string());
            context.add(&format!("{cloud}:CurrentTime"), now.to_string());
        }
        context
    }
}

/// Who this user is. Looks into the user database, which may take its time.
pub fn peer(uid: u32, gid: u32, operators: Operators) -> Peer {
    if uid == 0 || uid == nix::unistd::geteuid().as_raw() {
        return Peer::Operator;
    }
    let is_member = |wanted: u32| {
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        let name = user.and_then(|user| std::ffi::CString::new(user.name).ok());
        let groups = name.and_then(|name| nix::unistd::getgrouplist(&name, gid.into()).ok());
        groups.is_some_and(|groups| groups.contains(&wanted.into()))
    };
    match operators.gid {
        Some(wanted) if gid == wanted || is_member(wanted) => Peer::Operator,
        Some(_) | None => Peer::Stranger { uid },
    }
}
