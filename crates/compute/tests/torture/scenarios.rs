//! What a daemon is asked while it is killed, and a log of what it acknowledged: that, and only that, must be so afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compute::capacity::Amounts;
use compute::charge::{Period, Release, Subscription, Terms};
use compute::compute::{
    Compute, ComputeError, DiskRequest, ImageChange, ImageDiskContent, InstanceRequest, InterfaceRequest,
    Launch, LaunchInterface, NewImage, NewImageDisk, NewInterface, NewSnapshot, NewVolume, Protection,
    PublicAddress, SourceRequest, Token,
};
use compute::id::{ImageId, InstanceId, InterfaceId, SnapshotId, VolumeId};
use compute::image_url::ImageUrl;
use compute::lifecycle::{Action, AfterHostReboot, OnFailure, OnPowerOff, Report, Rules, State};
use compute::outside::{ImageSource, UrlSource};
use compute::resource::{Cloud, Image, ImageState, Instance, Snapshot, SnapshotState, Tags, Volume};

use super::world::World;

type Run = fn(Arc<Compute>, Arc<World>, Log) -> Pin<Box<dyn Future<Output = ()>>>;

pub struct Scenario {
    pub name: &'static str,
    /// Guests that do not care for the power button.
    pub deaf: bool,
    pub run: Run,
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "launch", deaf: false, run: |c, w, l| Box::pin(launch_twice(c, w, l)) },
    Scenario { name: "stop and start", deaf: false, run: |c, w, l| Box::pin(stop_and_start(c, w, l)) },
    Scenario { name: "deaf guests", deaf: true, run: |c, w, l| Box::pin(stop_and_start(c, w, l)) },
    Scenario { name: "terminate", deaf: false, run: |c, w, l| Box::pin(terminate(c, w, l)) },
    Scenario { name: "volumes", deaf: false, run: |c, w, l| Box::pin(volumes(c, w, l)) },
    Scenario { name: "images", deaf: false, run: |c, w, l| Box::pin(images(c, w, l)) },
    Scenario { name: "faults", deaf: false, run: |c, w, l| Box::pin(faults(c, w, l)) },
    Scenario { name: "interfaces", deaf: false, run: |c, w, l| Box::pin(interfaces(c, w, l)) },
    Scenario { name: "addresses", deaf: false, run: |c, w, l| Box::pin(addresses(c, w, l)) },
];

const ACCOUNT: &str = "123456789012";

/// What was acknowledged. What was only asked for may be so or not.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Facts>>);

#[derive(Default)]
struct Facts {
    /// The states that each instance may be in.
    instances: BTreeMap<InstanceId, Vec<State>>,
    /// Whether each is there, if that is certain.
    volumes: BTreeMap<VolumeId, Option<bool>>,
    snapshots: BTreeMap<SnapshotId, Option<bool>>,
    images: BTreeMap<ImageId, Option<bool>>,
    /// Interfaces that were made by themselves, and outlive who has them.
    interfaces: BTreeSet<InterfaceId>,
    /// More than the instances here may be there: a launch was asked for and not answered.
    launching: bool,
    done: bool,
}

impl Log {
    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.0.lock().unwrap()
    }

    pub fn interfaces(&self) -> BTreeSet<InterfaceId> {
        self.facts().interfaces.clone()
    }

    pub fn is_done(&self) -> bool {
        self.facts().done
    }

    pub fn check(
        &self,
        instances: &[Instance],
        volumes: &[Volume],
        snapshots: &[Snapshot],
        images: &[Image],
        place: &str,
    ) {
        let facts = self.facts();
        for (id, states) in &facts.instances {
            let instance = instances.iter().find(|it| it.id == *id);
            let instance = instance.unwrap_or_else(|| panic!("{place}: {id} was acknowledged and is lost"));
            assert!(
                states.contains(&instance.state()),
                "{place}: {id} is {:?}, not {states:?}",
                instance.state()
            );
        }
        if !facts.launching {
            assert_eq!(instances.len(), facts.instances.len(), "{place}: none that nobody asked for");
        }
        let there = |certain: &Option<bool>, found: bool| certain.is_none_or(|certain| certain == found);
        for (id, certain) in &facts.volumes {
            assert!(there(certain, volumes.iter().any(|it| it.id == *id)), "{place}: {id} {certain:?}");
        }
        for (id, certain) in &facts.snapshots {
            assert!(there(certain, snapshots.iter().any(|it| it.id == *id)), "{place}: {id} {certain:?}");
        }
        for (id, certain) in &facts.images {
            assert!(
                there(certain, images.iter().any(|it| it.id == *id && it.deregistered.is_none())),
                "{place}: {id} {certain:?}"
            );
        }
    }
}

fn rules() -> Rules {
    Rules {
        start_when_created: true,
        on_power_off: OnPowerOff::Stop,
        on_failure: OnFailure::Restart,
        after_host_reboot: AfterHostReboot::Start,
    }
}

fn request(image: ImageId, name: &str, rules: Rules) -> InstanceRequest {
    InstanceRequest {
        min: 1,
        max: 2,
        cloud: Cloud::Native,
        image,
        instance_type: "small".to_owned(),
        name: name.to_owned(),
        description: String::new(),
        host_name: None,
        own_names: Vec::new(),
        key_pair: None,
        password: None,
        user_data: b"#!/bin/sh".to_vec(),
        metadata: BTreeMap::new(),
        metadata_options: Default::default(),
        config_drive: false,
        role: None,
        system_disk: DiskRequest { delete_with_instance: true, ..DiskRequest::default() },
        disks: vec![
            DiskRequest { size_gib: Some(3), delete_with_instance: false, ..DiskRequest::default() },
            DiskRequest { content: SourceRequest::Swap, ..DiskRequest::default() },
        ],
        without: Vec::new(),
        zone: None,
        interfaces: vec![],
        public_address: PublicAddress::Never,
        tags: Tags::default(),
        volume_tags: Tags::default(),
        terms: Terms::PayAsYouGo { release: None },
        rules,
        protected: false,
        dialect: serde_json::Value::Null,
    }
}

/// Of a file on the host, or of one on a server.
async fn import(compute: &Arc<Compute>, log: &Log, file: &str) -> Option<ImageId> {
    let source = match ImageUrl::parse(file) {
        Ok(url) => ImageSource::Url(UrlSource { url, within: Vec::new() }),
        Err(_) => ImageSource::File(format!("/images/{file}").into()),
    };
    let new = NewImage {
        name: file.to_owned(),
        kernel: Some(("/somewhere/vmlinuz".into(), Some("/somewhere/initrd".into()), String::new())),
        ..NewImage::default()
    };
    let (image, job) = compute.import_image(ACCOUNT, &new, source, None).await.unwrap();
    let image = image.expect("nobody asked before");
    log.facts().images.insert(image.id, None);
    while compute.job(ACCOUNT, job.id).await.unwrap().ended.is_none() {
        tokio::task::yield_now().await;
    }
    match compute.image(ACCOUNT, image.id).await {
        Ok(found) => {
            assert_eq!(found.state, ImageState::Available);
            log.facts().images.insert(image.id, Some(true));
            Some(image.id)
        }
        Err(_) => {
            log.facts().images.insert(image.id, Some(false));
            None
        }
    }
}

async fn launch(
    compute: &Arc<Compute>,
    log: &Log,
    request: InstanceRequest,
    token: Option<&str>,
) -> Vec<InstanceId> {
    log.facts().launching = true;
    let token = token.map(|token| Token {
        operation: "launch",
        token: token.to_owned(),
        parameters: request.name.clone(),
    });
    let launch = Launch {
        account: ACCOUNT.to_owned(),
        token,
        kinds: vec![request],
        allowance: Amounts::UNLIMITED,
        dry_run: false,
    };
    let launched = compute.launch(&launch).await.unwrap();
    let mut facts = log.facts();
    facts.launching = false;
    let ids: Vec<InstanceId> = launched.instances.iter().map(|it| it.id).collect();
    for id in &ids {
        facts.instances.insert(*id, vec![State::Running]);
    }
    ids
}

async fn wait_for(compute: &Arc<Compute>, id: InstanceId, state: State) {
    while compute.instance(ACCOUNT, id).await.unwrap().state() != state {
        // Deadlines pass by the clock that nobody else turns.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        turn(compute).await;
    }
}

/// Lets a second pass.
async fn turn(compute: &Arc<Compute>) {
    let now = compute.clock().now();
    compute.look_at_terms(now).await;
    TURN.with_borrow(|turn| {
        if let Some(turn) = turn {
            turn(Duration::from_secs(1));
        }
    });
}

/// Turns a clock by a duration.
type Turn = Box<dyn Fn(Duration)>;

thread_local! {
    /// Turns the clock of the host that this thread plays.
    pub static TURN: std::cell::RefCell<Option<Turn>> = const { std::cell::RefCell::new(None) };
}

async fn act(compute: &Arc<Compute>, log: &Log, id: InstanceId, action: Action, leads_to: State) {
    log.facts().instances.get_mut(&id).unwrap().push(leads_to);
    let allowance = Amounts::UNLIMITED;
    compute.act(ACCOUNT, id, action, allowance, Protection::Respected).await.unwrap();
    log.facts().instances.insert(id, vec![leads_to]);
}

async fn launch_twice(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let first = launch(&compute, &log, request(image, "twice", rules()), Some("token")).await;
    let second = launch(&compute, &log, request(image, "twice", rules()), Some("token")).await;
    assert_eq!(first, second, "the token leads to the same instances");
    let other = Launch {
        account: ACCOUNT.to_owned(),
        token: Some(Token { operation: "launch", token: "token".to_owned(), parameters: "other".to_owned() }),
        kinds: vec![request(image, "other", rules())],
        allowance: Amounts::UNLIMITED,
        dry_run: false,
    };
    assert!(matches!(compute.launch(&other).await, Err(ComputeError::TokenMismatch)));
    for id in first {
        wait_for(&compute, id, State::Running).await;
    }
    log.facts().done = true;
}

async fn stop_and_start(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let one = InstanceRequest { max: 1, ..request(image, "one", rules()) };
    let id = launch(&compute, &log, one, None).await[0];
    wait_for(&compute, id, State::Running).await;
    act(&compute, &log, id, Action::Stop, State::Stopped).await;
    wait_for(&compute, id, State::Stopped).await;
    act(&compute, &log, id, Action::Start, State::Running).await;
    wait_for(&compute, id, State::Running).await;
    act(&compute, &log, id, Action::Reboot, State::Running).await;
    wait_for(&compute, id, State::Running).await;
    act(&compute, &log, id, Action::RebootForced, State::Running).await;
    wait_for(&compute, id, State::Running).await;
    act(&compute, &log, id, Action::StopForced, State::Stopped).await;
    wait_for(&compute, id, State::Stopped).await;
    log.facts().done = true;
}

async fn terminate(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let ids = launch(&compute, &log, request(image, "two", rules()), None).await;
    // One in the midst of being made, one that runs.
    act(&compute, &log, ids[0], Action::Terminate, State::Terminated).await;
    wait_for(&compute, ids[1], State::Running).await;
    act(&compute, &log, ids[1], Action::Terminate, State::Terminated).await;
    wait_for(&compute, ids[0], State::Terminated).await;
    wait_for(&compute, ids[1], State::Terminated).await;
    log.facts().done = true;
}

async fn volumes(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let one = InstanceRequest { max: 1, ..request(image, "one", rules()) };
    let id = launch(&compute, &log, one, None).await[0];
    wait_for(&compute, id, State::Running).await;
    act(&compute, &log, id, Action::StopForced, State::Stopped).await;
    wait_for(&compute, id, State::Stopped).await;

    let blank = NewVolume { size_gib: Some(5), ..NewVolume::default() };
    let volume = compute.create_volume(ACCOUNT, &blank, Amounts::UNLIMITED).await.unwrap().id;
    log.facts().volumes.insert(volume, Some(true));
    let available = async |volume| {
        while compute.volume(ACCOUNT, volume).await.unwrap().state
            != compute::resource::VolumeState::Available
        {
            tokio::task::yield_now().await;
        }
    };
    available(volume).await;
    compute.attach_volume(ACCOUNT, volume, id, None, false).await.unwrap();
    compute.grow_volume(ACCOUNT, volume, 7, Amounts::UNLIMITED).await.unwrap();
    let wanted = NewSnapshot {
        volume,
        name: "before".to_owned(),
        description: String::new(),
        tags: Tags::default(),
        token: None,
    };
    let snapshot = compute.create_snapshot(ACCOUNT, &wanted).await.unwrap();
    log.facts().snapshots.insert(snapshot.id, Some(true));
    while compute.snapshot(ACCOUNT, snapshot.id).await.unwrap().state != SnapshotState::Completed {
        tokio::task::yield_now().await;
    }
    let copy = NewVolume { snapshot: Some(snapshot.id), ..NewVolume::default() };
    let copy = compute.create_volume(ACCOUNT, &copy, Amounts::UNLIMITED).await.unwrap().id;
    log.facts().volumes.insert(copy, Some(true));
    available(copy).await;
    compute.detach_volume(ACCOUNT, volume).await.unwrap();
    // It may be gone before it has grown.
    compute.grow_volume(ACCOUNT, volume, 8, Amounts::UNLIMITED).await.unwrap();
    log.facts().volumes.insert(volume, None);
    compute.delete_volume(ACCOUNT, volume).await.unwrap();
    log.facts().volumes.insert(volume, Some(false));
    log.facts().snapshots.insert(snapshot.id, None);
    compute.delete_snapshot(ACCOUNT, snapshot.id).await.unwrap();
    log.facts().snapshots.insert(snapshot.id, Some(false));
    log.facts().done = true;
}

async fn images(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    assert!(import(&compute, &log, "broken.qcow2").await.is_none());
    assert!(import(&compute, &log, "https://images.example.org/missing.raw").await.is_none());
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let change = ImageChange { public: Some(true), ..ImageChange::default() };
    compute.change_image(ACCOUNT, image, &change).await.unwrap();
    // Another image of the same content; the content stays when one of them goes.
    let same = import(&compute, &log, "https://images.example.org/same.raw").await.unwrap();
    let data = DiskRequest { size_gib: Some(1), ..DiskRequest::default() };
    let one = InstanceRequest { max: 1, disks: vec![data], ..request(image, "one", rules()) };
    let id = launch(&compute, &log, one, None).await[0];
    // At once: the instance still gets its disk.
    log.facts().images.insert(image, None);
    compute.delete_image(ACCOUNT, image).await.unwrap();
    log.facts().images.insert(image, Some(false));
    log.facts().images.insert(same, None);
    compute.delete_image(ACCOUNT, same).await.unwrap();
    log.facts().images.insert(same, Some(false));
    wait_for(&compute, id, State::Running).await;
    // Of both its disks, with snapshots that stay.
    let disks = compute.instance(ACCOUNT, id).await.unwrap().disks;
    let new = NewImage { name: "golden".to_owned(), ..NewImage::default() };
    let wanted = NewSnapshot::of(disks[0].volume);
    let data = [NewImageDisk {
        device: disks[1].device.clone(),
        content: ImageDiskContent::Volume(NewSnapshot::of(disks[1].volume)),
        size_gib: None,
        delete_with_instance: true,
        category: String::new(),
    }];
    let golden = compute.image_of_volume(ACCOUNT, &new, &wanted, &data).await.unwrap().0.unwrap();
    log.facts().images.insert(golden.id, Some(true));
    let snapshots = [golden.snapshot, golden.data_disks[0].snapshot].map(Option::unwrap);
    log.facts().snapshots.extend(snapshots.map(|snapshot| (snapshot, Some(true))));
    while compute.image(ACCOUNT, golden.id).await.unwrap().state != ImageState::Available {
        tokio::task::yield_now().await;
    }
    for snapshot in snapshots {
        assert_eq!(compute.snapshot(ACCOUNT, snapshot).await.unwrap().state, SnapshotState::Completed);
    }
    // While it was made its volume was there; now that may go.
    log.facts().instances.get_mut(&id).unwrap().extend([State::Terminating, State::Terminated]);
    compute.act(ACCOUNT, id, Action::Terminate, Amounts::UNLIMITED, Protection::Respected).await.unwrap();
    wait_for(&compute, id, State::Terminated).await;
    log.facts().done = true;
}

async fn faults(compute: Arc<Compute>, world: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let ids = launch(&compute, &log, request(image, "two", rules()), None).await;
    for id in &ids {
        wait_for(&compute, *id, State::Running).await;
    }
    // It is restarted, again and again, and then no more.
    for round in 1..=5 {
        if round == 5 {
            log.facts().instances.get_mut(&ids[0]).unwrap().push(State::Failed);
        }
        world.happens(ids[0], Report::Died);
        let after = if round == 5 { State::Failed } else { State::Running };
        wait_for_boot(&compute, ids[0], round).await;
        wait_for(&compute, ids[0], after).await;
    }
    log.facts().instances.get_mut(&ids[1]).unwrap().push(State::Stopped);
    world.happens(ids[1], Report::PoweredOff);
    wait_for(&compute, ids[1], State::Stopped).await;
    log.facts().done = true;
}

async fn wait_for_boot(compute: &Arc<Compute>, id: InstanceId, faults: u32) {
    while compute.instance(ACCOUNT, id).await.unwrap().faults.count < faults {
        tokio::task::yield_now().await;
    }
}

async fn addresses(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let one = InstanceRequest { max: 1, ..request(image, "one", rules()) };
    let id = launch(&compute, &log, one, None).await[0];
    let interface = compute.instance(ACCOUNT, id).await.unwrap().interfaces[0];
    let address = compute.allocate_address(ACCOUNT, None, "", 0, Tags::default()).await.unwrap();
    let other = compute.allocate_address(ACCOUNT, None, "", 0, Tags::default()).await.unwrap();
    compute.associate_address(ACCOUNT, address.id, Some(interface), false).await.unwrap();
    assert!(matches!(compute.release_address(ACCOUNT, address.id).await, Err(ComputeError::InUse { .. })));
    compute.release_address(ACCOUNT, other.id).await.unwrap();
    act(&compute, &log, id, Action::Terminate, State::Terminated).await;
    wait_for(&compute, id, State::Terminated).await;
    log.facts().done = true;
}

/// One instance after the other has the same interface: the next as soon as it is given back.
async fn interfaces(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let new = NewInterface {
        subnet: compute.default_subnet(ACCOUNT).await.unwrap().id,
        address: None,
        security_groups: vec![],
        name: String::new(),
        description: String::new(),
        tags: Tags::default(),
        token: None,
    };
    let interface = compute.create_interface(ACCOUNT, &new).await.unwrap().id;
    log.facts().interfaces.insert(interface);
    let with_it = |name| InstanceRequest {
        max: 1,
        interfaces: vec![
            InterfaceRequest::New(LaunchInterface::default()),
            InterfaceRequest::Existing { interface, delete_with_instance: false },
        ],
        disks: vec![],
        ..request(image, name, rules())
    };
    let first = launch(&compute, &log, with_it("first"), None).await[0];
    wait_for(&compute, first, State::Running).await;
    act(&compute, &log, first, Action::Terminate, State::Terminated).await;
    while compute.interface(ACCOUNT, interface).await.unwrap().instance.is_some() {
        tokio::task::yield_now().await;
    }
    let second = launch(&compute, &log, with_it("second"), None).await[0];
    wait_for(&compute, second, State::Running).await;
    wait_for(&compute, first, State::Terminated).await;
    log.facts().done = true;
}

/// Three instances that do different things when their host was rebooted.
pub async fn one_of_each_rule(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let all = [
        ("start", AfterHostReboot::Start, State::Running),
        ("stop", AfterHostReboot::Stop, State::Stopped),
        ("terminate", AfterHostReboot::Terminate, State::Terminated),
    ];
    for (name, after_host_reboot, state) in all {
        let rules = Rules { after_host_reboot, ..rules() };
        let id =
            launch(&compute, &log, InstanceRequest { max: 1, ..request(image, name, rules) }, None).await[0];
        wait_for(&compute, id, State::Running).await;
        log.facts().instances.insert(id, vec![state]);
    }
}

/// Three years of four instances: one that is not paid for, one that is renewed by itself, one that is renewed when it is
/// locked and not again, one that is to be released at a time.
pub async fn three_years(compute: Arc<Compute>, _: Arc<World>, log: Log) {
    const HOUR: Duration = Duration::from_secs(3600);
    let image = import(&compute, &log, "good.raw").await.unwrap();
    let now = compute.clock().now();
    let month = Period::Months(1);
    let paid = |auto_renew| Terms::Subscription(Subscription::new(now, month, auto_renew).unwrap());
    let release = Release::new(now.saturating_add(40 * 24 * HOUR).unwrap(), now).unwrap();
    let mut ids = Vec::new();
    for (name, terms) in [
        ("unpaid", paid(None)),
        ("renewed", paid(Some(month))),
        ("late", paid(None)),
        ("short", Terms::PayAsYouGo { release: Some(release) }),
    ] {
        let request = InstanceRequest { max: 1, terms, ..request(image, name, rules()) };
        let id = launch(&compute, &log, request, None).await[0];
        wait_for(&compute, id, State::Running).await;
        ids.push(id);
    }
    let state = async |index: usize| compute.instance(ACCOUNT, ids[index]).await.map(|it| it.state()).ok();
    let mut history: Vec<(u32, usize, Option<State>)> = Vec::new();
    let mut last = [Some(State::Running); 4];
    for hour in 0..3 * 365 * 24_u32 {
        pass(&compute, HOUR).await;
        for (index, last) in last.iter_mut().enumerate() {
            let now = state(index).await;
            if now != *last {
                history.push(((hour + 1) / 24, index, now));
                *last = now;
            }
        }
        if last[2] == Some(State::Locked) && (hour + 1) / 24 == 35 {
            compute.renew(ACCOUNT, ids[2], month, None).await.unwrap();
            last[2] = state(2).await;
            assert_eq!(last[2], Some(State::Stopped), "renewed and not locked any more");
            let (start, allowance) = (Action::Start, Amounts::UNLIMITED);
            compute.act(ACCOUNT, ids[2], start, allowance, Protection::Respected).await.unwrap();
            wait_for(&compute, ids[2], State::Running).await;
            last[2] = Some(State::Running);
        }
    }
    let of = |index: usize| -> Vec<(u32, Option<State>)> {
        history.iter().filter(|entry| entry.1 == index).map(|entry| (entry.0, entry.2)).collect()
    };
    let (locked, terminated) = (Some(State::Locked), Some(State::Terminated));
    // November has thirty days; a locked instance is released after fifteen; a record is kept for an hour.
    assert_eq!(of(0), [(30, locked), (45, terminated), (45, None)]);
    assert_eq!(of(1), [], "it ran for three years");
    assert_eq!(of(2), [(30, locked), (61, locked), (76, terminated), (76, None)]);
    assert_eq!(of(3), [(40, terminated), (40, None)]);
    let usage = compute.usage(ACCOUNT, None, 100).await.unwrap().items;
    let days: Vec<i64> = usage
        .iter()
        .map(|record| record.usage.until().unwrap().duration_since(record.usage.since()).as_hours() / 24)
        .collect();
    assert_eq!(days.iter().sum::<i64>(), 30 + 30 + 26 + 40, "{days:?}");
    let mut facts = log.facts();
    ids.iter().for_each(|id| drop(facts.instances.remove(id)));
    facts.launching = true;
    facts.done = true;
}

/// Lets time pass, and does what it brings.
async fn pass(compute: &Arc<Compute>, by: Duration) {
    TURN.with_borrow(|turn| {
        if let Some(turn) = turn {
            turn(by);
        }
    });
    compute.look_at_terms(compute.clock().now()).await;
    for _ in 0..60 {
        if compute.is_at_rest() {
            break;
        }
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        if !compute.is_at_rest() {
            turn(compute).await;
        }
    }
    compute.sweep(compute.clock().now()).await.unwrap();
}
