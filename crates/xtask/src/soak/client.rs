//! One of the clients: an account of its own, a way to the daemon, and the model of what it was told. Its requests go on
//! until they are answered, over any number of daemons.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use native_api::{
    AccessKeyId, AccountId, Client, ClientError, CreateAccessKey, CreateAccount, Credentials, ErrorBody,
    ErrorCode, Quotas,
};

use super::chance::Chance;
use super::counts::Counts;
use super::images::{Base, Sources};
use super::model::Model;
use crate::daemon::Node;

/// Longest time for an answer, over kills and restarts of the daemon.
const PATIENCE: Duration = Duration::from_secs(180);
/// How soon a request is sent again.
const AGAIN: Duration = Duration::from_millis(20);

/// What clients and those who disturb them share. All of it is on one thread.
pub struct World {
    pub node: Node,
    pub sources: Sources,
    pub bases: Vec<Base>,
    pub counts: RefCell<Counts>,
    /// Whether clients are to ask for something.
    pub open: Cell<bool>,
    /// How many clients are in the midst of something.
    pub busy: Cell<usize>,
    /// What broke first.
    pub broken: RefCell<Option<anyhow::Error>>,
    /// Goes up when the daemon is about to be killed, and when the next one answers: odd while nobody may answer.
    pub outages: Cell<u64>,
    /// Instances whose VMM was killed: any of them may have failed.
    pub disturbed: RefCell<BTreeSet<String>>,
    /// All instances that there ever were: of those that ended, the console is kept for a while.
    pub launched: RefCell<BTreeSet<String>>,
    /// Longest time for everything to settle: a guest that does not go by itself, a VMM that does not answer, a boot after
    /// each of some failures, a disk that is hashed.
    pub patience: Duration,
    /// How many of each thing a client has at most.
    pub most: usize,
}

/// A client and its account.
pub struct User {
    pub world: Rc<World>,
    pub account: AccountId,
    pub client: Client,
    /// The access key that it comes with.
    pub key: Option<AccessKeyId>,
    pub chance: Chance,
    pub model: Model,
}

/// An answer, and whether its request may have been done by an earlier daemon already.
pub struct Asked<T> {
    pub answer: Result<T, ErrorBody>,
    pub repeated: bool,
}

impl User {
    /// Makes an account and its client: every other one uses an access key, over TCP.
    pub async fn new(world: &Rc<World>, seed: u64, index: u64) -> anyhow::Result<Self> {
        let operator = world.node.operator(None)?;
        let name = format!("soak-{index}").parse().context("naming an account")?;
        let request = CreateAccount { name, quotas: Quotas::default() };
        let account = operator.create_account(&request).await.context("making an account")?.id;
        let mut model = Model::default();
        let (mut client, mut own) = (world.node.operator(Some(account.clone()))?, None);
        if index % 2 == 1 {
            let key = client.create_access_key(&CreateAccessKey::default()).await;
            let key = key.context("making an access key")?;
            model.access_keys.insert(key.access_key.id.clone());
            own = Some(key.access_key.id.clone());
            client = world.node.with_key(Credentials {
                access_key: key.access_key.id,
                secret: key.secret,
                security_token: None,
            })?;
        }
        let chance = Chance::new(seed, index + 1);
        Ok(Self { world: Rc::clone(world), account, client, key: own, chance, model })
    }

    /// Does one thing after the other while that is wished, until something breaks.
    pub async fn work(&mut self) {
        while self.world.open.get() && self.world.broken.borrow().is_none() {
            self.world.busy.set(self.world.busy.get() + 1);
            let result = self.step().await;
            self.world.busy.set(self.world.busy.get() - 1);
            if let Err(error) = result {
                self.world.broken.borrow_mut().get_or_insert(error);
            }
            let pause = self.chance.below(20);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Asks until there is an answer. What is asked must be safe to repeat. A refusal with another code than those
    /// `expected` is an error, but for those that any request may get.
    pub async fn ask<T>(
        &self,
        what: &'static str,
        expected: &[ErrorCode],
        request: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<Asked<T>> {
        let (deadline, mut repeated) = (Instant::now() + PATIENCE, false);
        loop {
            let outages = self.world.outages.get();
            // As every request can be answered late, each is given up.
            let answer = tokio::time::timeout(PATIENCE, request(&self.client)).await;
            let answer =
                answer.map_err(|_| anyhow!("{what} ({}): no answer within {PATIENCE:?}", self.account))?;
            match answer {
                Ok(answer) => {
                    self.world.counts.borrow_mut().answered(what);
                    return Ok(Asked { answer: Ok(answer), repeated });
                }
                Err(ClientError::Refused(refusal)) => {
                    self.world.counts.borrow_mut().refused(what, refusal.code);
                    if !may_come_again(refusal.code) {
                        if !expected.contains(&refusal.code) {
                            bail!("{what} ({}) was refused: {refusal}", self.account);
                        }
                        return Ok(Asked { answer: Err(refusal), repeated });
                    }
                }
                Err(error) if self.world.outages.get() == outages && !self.is_down() => {
                    bail!("{what} ({}) got no answer of a daemon that lives: {error}", self.account);
                }
                Err(ClientError::Connect { .. }) => {}
                Err(_) => {
                    self.world.counts.borrow_mut().unanswered += 1;
                    repeated = true;
                }
            }
            if Instant::now() > deadline {
                bail!("{what} ({}): not done within {PATIENCE:?}", self.account);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// As `ask`, where nothing but success will do.
    pub async fn get<T>(
        &self,
        what: &'static str,
        request: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        let asked = self.ask(what, &[], request).await?;
        asked.answer.map_err(|refusal| anyhow!("{what} ({}) was refused: {refusal}", self.account))
    }

    /// Whether no daemon may answer.
    fn is_down(&self) -> bool {
        self.world.outages.get() % 2 == 1
    }
}

/// Refusals that say nothing of what was asked.
fn may_come_again(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unavailable | ErrorCode::TooManyRequests)
}
