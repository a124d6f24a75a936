//! Where codes are provoked: a host with one of each, in some trouble.

use std::collections::BTreeMap;

use compute::capacity::Amounts;
use compute::outside::HostError;
use dialects::server::Limits;
use jiff::SignedDuration;
use tokio::net::TcpStream;

use super::super::caller::{Answered, Caller, Host};
use super::super::soap::{image, until};
use super::super::soap_bodies;
use super::super::soap_client::{self, Message, Signer, post};
use super::super::world::store::{INNER_DETAIL, Trouble};
use super::{Provocation, Sent};

/// What is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Nothing out of the way.
    Usual,
    /// The account has as many instances as it may.
    AtItsLimit,
    /// The operator disabled the account.
    Disabled,
    /// The host can launch nothing.
    FullHost,
    /// As many are connected as may be.
    Crowded,
    /// The record store fails for keys that begin so.
    Store(&'static str, Trouble),
    /// The host's own part of it fails.
    HostFails,
    /// The host has not enough of something just now.
    HostIsShort,
}

/// Such a host, with an account and all that entries name in braces.
pub struct Place {
    host: Host,
    root: Caller,
    signer: Signer,
    names: BTreeMap<&'static str, String>,
    /// Connections of others.
    others: Vec<TcpStream>,
}

/// Most connections where it is crowded.
const FEW: usize = 4;

impl Place {
    pub async fn of(setting: Setting) -> Self {
        let nothing = Amounts { instances: 0, vcpus: 0, memory_mib: 0, disk_gib: 0 };
        let host = match setting {
            Setting::FullHost => Host::with(nothing).await,
            Setting::Crowded => Host::limited(Limits { connections: FEW, ..Limits::default() }).await,
            _ => Host::start().await,
        };
        let (root, other) = (host.root().await, host.stranger().await);
        let signer = Signer::of(&host, root.account).await;
        let mut names = BTreeMap::new();
        for (name, owner) in [("image", &root), ("gone image", &root), ("hidden image", &other)] {
            names.insert(name, image(&host, owner).await);
        }
        let mut place = Self { host, root, signer, names, others: Vec::new() };
        place.furnish(setting).await;
        place.become_so(setting).await;
        place
    }

    /// Makes one of each.
    async fn furnish(&mut self, setting: Setting) {
        let theirs = "<manifest><image><name>good.raw</name><user>210987654321</user></image></manifest>";
        std::fs::write(self.host.images.path().join("bucket/theirs.manifest.xml"), theirs).unwrap();
        for (action, asked) in [
            ("DeregisterImage", &[("ImageId", "{gone image}")][..]),
            ("CreateKeyPair", &[("KeyName", "mine")]),
            ("CreateSecurityGroup", &[("GroupName", "web"), ("GroupDescription", "front end")]),
            (
                "AuthorizeSecurityGroupIngress",
                &[("GroupName", "web"), ("IpProtocol", "tcp"), ("FromPort", "80"), ("ToPort", "80")],
            ),
        ] {
            self.query(&self.root, action, asked).await.ok();
        }
        if setting != Setting::FullHost {
            let launch =
                [("ImageId", "{image}"), ("MinCount", "1"), ("MaxCount", "1"), ("SecurityGroup.1", "web")];
            let launched = self.query(&self.root, "RunInstances", &launch).await.ok();
            self.names.insert("instance", launched.all("instanceId").pop().unwrap());
            until(&self.root, "DescribeInstances", &[], "name", "running").await;
        }
    }

    async fn become_so(&mut self, setting: Setting) {
        let Host { node, identity, address, .. } = &self.host;
        let trouble = |trouble| node.world.real().trouble = Some(trouble);
        match setting {
            Setting::Usual | Setting::FullHost => {}
            Setting::AtItsLimit => {
                let one = Amounts { instances: 1, ..Amounts::UNLIMITED };
                identity.set_quotas(self.root.account, one).await.unwrap();
            }
            Setting::Disabled => identity.enable_account(self.root.account, false).await.unwrap(),
            Setting::Crowded => {
                for _ in 0..FEW {
                    self.others.push(TcpStream::connect(address).await.unwrap());
                }
            }
            Setting::Store(prefix, trouble) => node.store.fail(prefix, trouble),
            Setting::HostFails => trouble(HostError::Failed(INNER_DETAIL.to_owned())),
            Setting::HostIsShort => trouble(HostError::Exhausted(INNER_DETAIL.to_owned())),
        }
    }

    /// A text, with what the braces name.
    pub fn fill(&self, text: &str) -> String {
        let filled = |text: String, (name, is): (&&str, &String)| text.replace(&format!("{{{name}}}"), is);
        self.names.iter().fold(text.to_owned(), filled)
    }

    fn filled(&self, asked: &[(&str, &str)]) -> Vec<(String, String)> {
        asked.iter().map(|(name, value)| ((*name).to_owned(), self.fill(value))).collect()
    }

    /// What is answered to an entry by Query and by SOAP.
    pub async fn ask(&self, entry: &Provocation) -> (Answered, Answered) {
        let query = self.query(&self.caller(entry.sent), entry.action, entry.asked).await;
        let inside = soap_bodies::body(entry.action, &self.filled(entry.asked));
        let body = soap_client::body("body", entry.action, &inside);
        let now = self.host.node.compute.clock().now();
        let made = if entry.sent == Sent::Late { now - SignedDuration::from_mins(6) } else { now };
        let message = Message::at(made, body);
        let signed = match entry.sent {
            Sent::Rightly | Sent::Late => self.signer.signed(&message),
            Sent::Forged => self.signer.forged().signed(&message),
            Sent::Unknown => Signer::new().signed(&message),
        };
        (query, post(self.host.address, &signed).await)
    }

    async fn query(&self, caller: &Caller, action: &str, asked: &[(&str, &str)]) -> Answered {
        let asked = self.filled(asked);
        let pairs: Vec<(&str, &str)> =
            asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        caller.y2007(action, &pairs).await
    }

    /// What is answered to elements by SOAP.
    pub async fn soap(&self, action: &str, inside: &str) -> Answered {
        self.signer.asks(&self.host, action, inside).await
    }

    fn caller(&self, sent: Sent) -> Caller {
        let root = self.root.clone();
        match sent {
            Sent::Rightly => root,
            Sent::Late => {
                let late = self.host.node.compute.clock().now() - SignedDuration::from_mins(16);
                Caller { time: late.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), ..root }
            }
            Sent::Forged => Caller { secret: "another".to_owned(), ..root },
            Sent::Unknown => Caller { id: "AKIAZZZZZZZZZZZZZZZZ".to_owned(), ..root },
        }
    }
}
