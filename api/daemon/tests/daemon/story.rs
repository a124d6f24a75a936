//! What a caller asks of a daemon that may die at any moment: asked again until it is answered. What was acknowledged is noted,
//! and looked for each time that a daemon has come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Instant;

use native_api::{
    Client, ClientError, ErrorBody, ErrorCode, Image, ImageId, Instance, InstanceId, InstanceQuery,
    InstanceState, Job, JobId, JobState, LaunchRequest, Launched, Operation, Page, Snapshot, SnapshotId,
    SnapshotState, Volume, VolumeId, VolumeState,
};
use nix::sched::{CloneFlags, setns};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::node::{Environment, LOOK, Node, PATIENCE};
use crate::server::{Server, send};

/// A host, its caller, and what that was told.
pub struct Story {
    pub node: Node,
    /// Where each life of the daemon, or each run of `clear-host`, is to end; past the last, none.
    deaths: VecDeque<String>,
    /// How many of them did.
    pub lives_lost: usize,
    /// Paths of what must be there.
    there: BTreeSet<String>,
    /// Instances that run, with the VMM that they run in.
    running: BTreeMap<InstanceId, u32>,
    tokens: u32,
}

/// What must be there, and what runs where.
pub type Facts = (BTreeSet<String>, BTreeMap<InstanceId, u32>);

/// A request's or answer's type out of JSON.
pub fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

const NOTHING: Option<&()> = None;

fn open_within(namespace: PathBuf, tap: String) -> File {
    let open = move || {
        setns(File::open(namespace).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
        hostnet::open_tap(&tap).unwrap().into()
    };
    std::thread::spawn(open).join().unwrap()
}

impl Story {
    /// On a new host, with daemons that die there.
    pub fn new(deaths: impl IntoIterator<Item = String>) -> Self {
        Self {
            node: Node::new(),
            deaths: deaths.into_iter().collect(),
            lives_lost: 0,
            there: BTreeSet::new(),
            running: BTreeMap::new(),
            tokens: 0,
        }
    }

    /// The environment of the next daemon: it notes what it passes, and dies where that was chosen.
    fn environment(&self) -> Environment {
        let mut environment = vec![("BOTHY_PASSED", self.node.path().join("passed").into())];
        if let Some(place) = self.deaths.front() {
            environment.push(("BOTHY_DIE_AT", place.into()));
        }
        environment
    }

    /// The points that were passed, each with how often.
    pub fn passed(&self) -> BTreeMap<String, u32> {
        let text = std::fs::read_to_string(self.node.path().join("passed")).unwrap_or_default();
        let mut passed = BTreeMap::new();
        text.lines().for_each(|line| *passed.entry(line.to_owned()).or_default() += 1);
        passed
    }

    /// Starts daemons until one lives. All is there then that was acknowledged.
    pub async fn start(&mut self) {
        while !self.node.start(&self.environment()).await {
            self.is_dead().await;
        }
        self.check_all().await;
    }

    /// Has somebody be the guest of an instance that runs: the fake VMM has none, and leaves its tap to others. Subnets of VPCs
    /// have 24 bits in all stories.
    pub async fn play(&mut self, id: &InstanceId) -> Guest {
        let instance: Instance = self.instance(id).await;
        let interface = &instance.network_interfaces[0];
        let tap = interface.id.as_str().replace("eni", "bothy");
        let vpc = interface.vpc.as_str().trim_start_matches("vpc-");
        let namespace = self.node.path().join("run/netns").join(vpc);
        let address = interface.private_address;
        let [a, b, c, _] = address.octets();
        let (tap, router) = match namespace.exists() {
            true => (open_within(namespace, tap), Ipv4Addr::new(a, b, c, 1)),
            false => (hostnet::open_tap(&tap).unwrap().into(), Ipv4Addr::new(10, 98, 0, 1)),
        };
        let mac: Vec<u8> =
            interface.mac.as_str().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        Guest::new(tap, mac.try_into().unwrap(), address, router)
    }

    /// Starts a daemon that does not die.
    pub async fn start_for_good(&mut self) {
        self.node.must_start().await;
        self.check_all().await;
    }

    /// Ends the daemon as it should be ended; one that dies at it is started again first.
    pub async fn stop(&mut self) {
        loop {
            let status = self.node.stop().await;
            if status.success() {
                return;
            }
            self.died(status);
            while !self.node.start(&self.environment()).await {
                self.is_dead().await;
            }
        }
    }

    /// Sees that it died as it was told to.
    async fn is_dead(&mut self) {
        let status = self.node.ended().await;
        self.died(status);
    }

    fn died(&mut self, status: ExitStatus) {
        let as_told = status.signal() == Some(9) && !self.deaths.is_empty();
        assert!(as_told, "it ended by itself: {status}\n{}", self.node.log());
        self.deaths.pop_front();
        self.lives_lost += 1;
    }

    /// Clears the host, again if that died.
    pub fn clear(&mut self) {
        let environment = self.environment();
        let status = self.node.clear(&environment);
        if !status.success() {
            self.died(status);
            self.clear();
        }
    }

    /// Asks until there is an answer; whoever does not answer is dead, and is followed by another.
    async fn ask<T>(
        &mut self,
        asked: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, ErrorBody> {
        loop {
            match asked(&self.node.client()).await {
                Ok(answer) => return Ok(answer),
                Err(ClientError::Refused(refusal)) => return Err(refusal),
                Err(_) => {
                    self.is_dead().await;
                    // Not `start`, which asks again what is there.
                    while !self.node.start(&self.environment()).await {
                        self.is_dead().await;
                    }
                    Box::pin(self.check_all()).await;
                }
            }
        }
    }

    /// Asks for something of the table, with JSON.
    pub async fn call<T: DeserializeOwned>(
        &mut self,
        operation: Operation,
        path: &[&str],
        body: Value,
    ) -> Result<T, ErrorBody> {
        let has_body = !body.is_null();
        self.ask(async |client| client.call(operation, path, NOTHING, has_body.then_some(&body)).await).await
    }

    async fn get<T: DeserializeOwned>(&mut self, operation: Operation, id: &str) -> T {
        let found = self.call(operation, &[id], Value::Null).await;
        found.unwrap_or_else(|refusal| panic!("{operation:?} of {id}: {refusal}\n{}", self.node.log()))
    }

    /// What must be so at any time: what ran runs on, and nothing runs twice. Whether the daemon lives is found out, too.
    pub async fn check(&mut self) {
        self.ask(async |client| client.get_health().await).await.unwrap();
        self.check_vmms();
    }

    fn check_vmms(&self) {
        let vmms = self.node.vmms();
        let twice: Vec<_> = vmms.iter().filter(|(_, pids)| pids.len() > 1).collect();
        assert!(twice.is_empty(), "runs twice: {twice:?}\n{}", self.node.log());
        for (instance, pid) in &self.running {
            assert_eq!(vmms.get(instance.as_str()), Some(&vec![*pid]), "{instance}\n{}", self.node.log());
        }
    }

    /// What must be so when a daemon has come back, or when a story is at its end: what was acknowledged is there.
    async fn check_all(&mut self) {
        self.check_vmms();
        for path in self.there.clone() {
            let (kind, id) = path.split_once('/').unwrap();
            let operation = match kind {
                "image" => Operation::GetImage,
                "instance" => Operation::GetInstance,
                "volume" => Operation::GetVolume,
                "snapshot" => Operation::GetSnapshot,
                "key" => Operation::GetKeyPair,
                "vpc" => Operation::GetVpc,
                "subnet" => Operation::GetSubnet,
                "group" => Operation::GetSecurityGroup,
                other => unreachable!("{other}"),
            };
            self.get::<Value>(operation, id).await;
        }
    }

    fn is_there(&mut self, kind: &str, id: impl ToString) {
        self.there.insert(format!("{kind}/{}", id.to_string()));
    }

    fn is_going(&mut self, kind: &str, id: impl ToString) {
        self.there.remove(&format!("{kind}/{}", id.to_string()));
    }

    /// What was acknowledged so far, for `restore`.
    pub fn facts(&self) -> Facts {
        (self.there.clone(), self.running.clone())
    }

    /// What was acknowledged since then is lost, and it is known that it is.
    pub fn restore(&mut self, facts: Facts) {
        (self.there, self.running) = facts;
    }

    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("token-{}", self.tokens)
    }

    /// A file to make an image of.
    pub fn file(&self, name: &str, bytes: usize) -> PathBuf {
        let folder = self.node.path().join("source");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let content: Vec<u8> = name.bytes().cycle().take(bytes).collect();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Imports a disk.
    pub async fn import_disk(&mut self, name: &str) -> ImageId {
        let path = self.file(name, 256 << 10);
        self.import(name, json!({"disk": {"path": path}})).await
    }

    /// Imports a disk that a server has.
    pub async fn import_url(&mut self, name: &str) -> ImageId {
        let content = std::fs::read(self.file(name, 256 << 10)).unwrap();
        let server = Server::start(move |asked, wire| send(asked, wire, &content, "\"one\"", usize::MAX));
        self.import(name, json!({"disk": {"url": server.url("/disk.raw")}})).await
    }

    /// Imports a file system with a kernel that is told this.
    pub async fn import_kernel(&mut self, name: &str, cmdline: &str) -> ImageId {
        let (path, kernel) = (self.file(name, 64 << 10), self.file(&format!("{name}-kernel"), 8 << 10));
        let initrd = self.file(&format!("{name}-initrd"), 8 << 10);
        self.import(
            name,
            json!({"file_system": {"path": path, "kernel": kernel, "initrd": initrd, "cmdline": cmdline}}),
        )
        .await
    }

    async fn import(&mut self, name: &str, source: Value) -> ImageId {
        let body = json!({"name": name, "source": source, "client_token": self.token()});
        let job: Job = self.call(Operation::ImportImage, &[], body).await.unwrap();
        self.finished(job).await
    }

    /// Makes an image of a snapshot.
    pub async fn create_image(&mut self, name: &str, snapshot: &SnapshotId) -> ImageId {
        let body = json!({"name": name, "snapshot": snapshot, "client_token": self.token()});
        let job: Job = self.call(Operation::CreateImage, &[], body).await.unwrap();
        self.finished(job).await
    }

    async fn finished(&mut self, job: Job) -> ImageId {
        let image = job.image.expect("it makes an image");
        self.is_there("image", &image);
        let done = self.job(&job.id).await;
        assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
        image
    }

    /// Asks for a thing until it is as it should be.
    async fn wait<T: DeserializeOwned + Serialize>(
        &mut self,
        operation: Operation,
        id: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now: T = self.get(operation, id).await;
            if wanted(&now) {
                return now;
            }
            assert!(
                Instant::now() < deadline,
                "{operation:?}: {}\n{}",
                serde_json::to_string(&now).unwrap(),
                self.node.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes a key pair, of which only the public half matters here.
    pub async fn create_key(&mut self, name: &str) -> String {
        let made = self.call::<Value>(Operation::CreateKeyPair, &[], json!({"name": name})).await;
        let id = match made {
            Ok(made) => made["key_pair"]["id"].as_str().unwrap().to_owned(),
            // The answer was lost with the daemon.
            Err(refusal) => {
                assert!(refusal.code == ErrorCode::AlreadyExists && self.lives_lost > 0, "{refusal}");
                let keys: Page<Value> = self.call(Operation::ListKeyPairs, &[], Value::Null).await.unwrap();
                let found = keys.items.iter().find(|key| key["name"] == name);
                found.unwrap()["id"].as_str().unwrap().to_owned()
            }
        };
        self.is_there("key", &id);
        id
    }

    /// Creates something that has a name of its own, by which it is found where the answer was lost with the daemon.
    pub async fn create_once(&mut self, kind: &str, create: Operation, body: Value) -> String {
        let list = match kind {
            "vpc" => Operation::ListVpcs,
            "subnet" => Operation::ListSubnets,
            "group" => Operation::ListSecurityGroups,
            other => unreachable!("{other}"),
        };
        let find = |page: &Page<Value>| {
            let found = page.items.iter().find(|it| it["name"] == body["name"]);
            found.map(|it| it["id"].as_str().unwrap().to_owned())
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let known: Page<Value> = self.call(list, &[], Value::Null).await.unwrap();
            if let Some(id) = find(&known) {
                self.is_there(kind, &id);
                return id;
            }
            assert!(Instant::now() < deadline, "no {kind} is made\n{}", self.node.log());
            if let Err(refusal) = self.call::<Value>(create, &[], body.clone()).await {
                assert!(self.lives_lost > 0, "{create:?}: {refusal}");
            }
        }
    }

    /// Adds a rule to a security group.
    pub async fn add_rule(&mut self, group: &str, rule: Value) {
        let change = json!({"add": [rule], "remove": []});
        if let Err(refusal) = self.call::<Value>(Operation::UpdateSecurityGroupRules, &[group], change).await
        {
            assert!(refusal.code == ErrorCode::AlreadyExists && self.lives_lost > 0, "{refusal}");
        }
    }

    /// Launches instances.
    pub async fn launch(&mut self, request: Value) -> Vec<InstanceId> {
        let mut request: LaunchRequest = of(request);
        request.client_token = Some(of(self.token().into()));
        let launched: Launched = self
            .call(Operation::LaunchInstances, &[], serde_json::to_value(&request).unwrap())
            .await
            .unwrap();
        let ids: Vec<InstanceId> = launched.instances.into_iter().map(|instance| instance.id).collect();
        ids.iter().for_each(|id| self.is_there("instance", id));
        ids
    }

    /// Waits until an instance runs.
    pub async fn runs(&mut self, id: &InstanceId) {
        let deadline = Instant::now() + PATIENCE;
        let pid = loop {
            self.reaches(id, InstanceState::Running).await;
            let vmms = self.node.vmms();
            match vmms.get(id.as_str()).map_or(&[][..], Vec::as_slice) {
                [pid] => break *pid,
                // A daemon that has just started shows what the one before had last seen.
                [] => assert!(Instant::now() < deadline, "{id} has no VMM\n{}", self.node.log()),
                pids => panic!("{id} runs in {pids:?}\n{}", self.node.log()),
            }
            tokio::time::sleep(LOOK).await;
        };
        self.running.insert(id.clone(), pid);
        self.check().await;
    }

    /// An instance is expected to do something by itself.
    pub fn may_change(&mut self, id: &InstanceId) {
        self.running.remove(id);
    }

    /// Waits for an instance's state.
    pub async fn reaches(&mut self, id: &InstanceId, state: InstanceState) -> Instance {
        self.wait(Operation::GetInstance, id.as_str(), |it: &Instance| it.state == state).await
    }

    /// Asks an instance to do something, and waits for its end.
    pub async fn act(&mut self, id: &InstanceId, operation: Operation, force: bool, wanted: InstanceState) {
        self.running.remove(id);
        let takes_force = matches!(operation, Operation::StopInstance | Operation::RebootInstance);
        let body = if takes_force { json!({"force": force}) } else { Value::Null };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lost = self.lives_lost;
            match self.call::<Instance>(operation, &[id.as_str()], body.clone()).await {
                Ok(_) => break,
                // It is at it already: the daemon died before it could say so, or before that was done.
                Err(refusal) if refusal.code == ErrorCode::WrongState && self.lives_lost > 0 => {
                    let now: Instance = self.get(Operation::GetInstance, id.as_str()).await;
                    if now.state == wanted && self.lives_lost == lost {
                        break;
                    }
                }
                Err(refusal) => panic!("{operation:?} {id}: {refusal}\n{}", self.node.log()),
            }
            assert!(Instant::now() < deadline, "{operation:?} {id} is never taken\n{}", self.node.log());
            tokio::time::sleep(LOOK).await;
        }
        match wanted {
            InstanceState::Running => self.runs(id).await,
            _ => drop(self.reaches(id, wanted).await),
        }
        self.check().await;
    }

    /// Makes a volume.
    pub async fn create_volume(&mut self, name: &str) -> VolumeId {
        let body = json!({"name": name, "size_gib": 1, "client_token": self.token()});
        let volume: Volume = self.call(Operation::CreateVolume, &[], body).await.unwrap();
        self.is_there("volume", &volume.id);
        self.volume_is(&volume.id, VolumeState::Available).await;
        volume.id
    }

    async fn volume_is(&mut self, id: &VolumeId, state: VolumeState) {
        self.wait(Operation::GetVolume, id.as_str(), |it: &Volume| it.state == state).await;
    }

    /// Changes something of a volume, and waits for its state. Refused because that was done already is success.
    pub async fn change_volume(
        &mut self,
        id: &VolumeId,
        operation: Operation,
        body: Value,
        state: VolumeState,
    ) {
        match self.call::<Volume>(operation, &[id.as_str()], body).await {
            Ok(_) => {}
            Err(refusal) => assert!(
                matches!(refusal.code, ErrorCode::WrongState | ErrorCode::InUse) && self.lives_lost > 0,
                "{operation:?} {id}: {refusal}"
            ),
        }
        self.volume_is(id, state).await;
        self.check().await;
    }

    /// Takes a snapshot.
    pub async fn snapshot(&mut self, volume: &VolumeId) -> SnapshotId {
        let body = json!({"volume": volume, "client_token": self.token()});
        let snapshot: Snapshot = self.call(Operation::CreateSnapshot, &[], body).await.unwrap();
        self.is_there("snapshot", &snapshot.id);
        let available = |it: &Snapshot| it.state == SnapshotState::Available;
        self.wait(Operation::GetSnapshot, snapshot.id.as_str(), available).await;
        snapshot.id
    }

    /// Deletes a thing, and waits until it is gone.
    pub async fn delete(&mut self, kind: &str, id: &str) {
        let (delete, get) = match kind {
            "image" => (Operation::DeregisterImage, Operation::GetImage),
            "volume" => (Operation::DeleteVolume, Operation::GetVolume),
            "snapshot" => (Operation::DeleteSnapshot, Operation::GetSnapshot),
            "key" => (Operation::DeleteKeyPair, Operation::GetKeyPair),
            "vpc" => (Operation::DeleteVpc, Operation::GetVpc),
            "subnet" => (Operation::DeleteSubnet, Operation::GetSubnet),
            "group" => (Operation::DeleteSecurityGroup, Operation::GetSecurityGroup),
            other => unreachable!("{other}"),
        };
        self.is_going(kind, id);
        let deadline = Instant::now() + PATIENCE;
        if let Err(refusal) = self.call::<Value>(delete, &[id], Value::Null).await {
            let is_at_it = matches!(refusal.code, ErrorCode::NotFound | ErrorCode::WrongState);
            assert!(is_at_it && self.lives_lost > 0, "{delete:?} {id}: {refusal}");
        }
        while self.call::<Value>(get, &[id], Value::Null).await.is_ok() {
            assert!(Instant::now() < deadline, "{id} is never gone\n{}", self.node.log());
            tokio::time::sleep(LOOK).await;
        }
        self.check().await;
    }

    /// Takes everything away again, ends the daemon, clears the host, and sees that nothing is left.
    pub async fn end(&mut self) {
        self.check_all().await;
        let query = InstanceQuery::default();
        let instances = self.ask(async |client| client.list_instances(&query).await).await.unwrap().items;
        for instance in instances.iter().filter(|it| it.state != InstanceState::Terminated) {
            self.act(&instance.id, Operation::TerminateInstance, false, InstanceState::Terminated).await;
        }
        for (kind, list) in [
            ("volume", Operation::ListVolumes),
            ("snapshot", Operation::ListSnapshots),
            ("image", Operation::ListImages),
            ("key", Operation::ListKeyPairs),
        ] {
            let page: Page<Value> = self.call(list, &[], Value::Null).await.unwrap();
            for item in page.items {
                self.delete(kind, item["id"].as_str().unwrap()).await;
            }
        }
        assert!(self.node.vmms().is_empty(), "{:?}", self.node.vmms());
        // What was deleted is not shown any more, and is still being removed. A daemon that dies at it is followed by another.
        let deadline = Instant::now() + PATIENCE;
        while !self.node.disks().is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}\n{}", self.node.disks(), self.node.log());
            self.check().await;
            tokio::time::sleep(LOOK).await;
        }
        self.stop().await;
        self.clear();
        let left = self.node.leavings();
        assert!(left.is_empty(), "left: {left:#?}\n{}", self.node.log());
    }

    /// A job's record, once it is done.
    pub async fn job(&mut self, id: &JobId) -> Job {
        self.wait(Operation::GetJob, id.as_str(), |job: &Job| job.state.is_final()).await
    }

    /// The image's record.
    pub async fn image(&mut self, id: &ImageId) -> Image {
        self.get(Operation::GetImage, id.as_str()).await
    }

    /// The instance's record.
    pub async fn instance(&mut self, id: &InstanceId) -> Instance {
        self.get(Operation::GetInstance, id.as_str()).await
    }
}
