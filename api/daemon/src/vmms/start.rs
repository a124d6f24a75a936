//! Starting a VMM: from what is there of an earlier one to a VM that runs and is watched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;

use compute::id::{Id, Instance};
use compute::outside::HostError;
use tokio::time::timeout;
use vmm_api::{Client, ClientError, VmConfig, VmState};

use super::cgroup::{CgroupLimits, launch_words};
use super::launcher::GO;
use super::process::Process;
use super::record::Record;
use super::watch::death;
use crate::fail;

use super::{
    Found, LAST_BREATH, STDERR_FILE, Slot, Vmms, client_error, control_path, host_error, sight_of_exit,
};

/// Where the launcher finds systemd-run.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Vmms {
    /// Starts an instance's VMM and boots its VM; what happens to it from then on is told. Where a VM of this instance runs
    /// already, that is success; where one ended and that was not told yet, too, and it is told. The console's log is put
    /// into the configuration. Reading a disk's boot files takes as long as it takes.
    ///
    /// # Errors
    ///
    /// What failed, with the VMM's own words. No process is left then; `clean_up` removes the rest.
    pub async fn boot(
        &self,
        instance: Id<Instance>,
        config: VmConfig,
        limits: CgroupLimits,
    ) -> Result<(), HostError> {
        self.boot_in(instance, config, limits, None).await
    }

    /// As `boot`, with the VMM in this network namespace, where its taps are.
    ///
    /// # Errors
    ///
    /// As for `boot`.
    pub async fn boot_in(
        &self,
        instance: Id<Instance>,
        mut config: VmConfig,
        limits: CgroupLimits,
        namespace: Option<&Path>,
    ) -> Result<(), HostError> {
        let mut slot = self.slot(instance).await;
        if self.is_there(&mut slot, instance).await? {
            return Ok(());
        }
        if let Some(watch) = &mut slot.watch {
            watch.stop().await;
        }
        self.end(&slot, instance).await?;
        slot.watch = None;
        let removed = self.remove_leavings(instance).await;
        removed.map_err(|error| host_error("remove what an earlier VMM left", &error))?;

        config.console.log = Some(self.consoles.log(instance));
        config.console.log_bytes = self.config.console_log_bytes;
        let started = self.start(instance, limits, namespace).await;
        let (mut record, process) = match started {
            Ok(started) => started,
            Err(error) => return Err(self.give_up(&slot, instance, error).await),
        };
        if let Err(error) = self.bring_up(instance, &config, &process, &record).await {
            return Err(self.give_up(&slot, instance, error).await);
        }
        self.note_booted(instance, &mut record);
        fail::point("vmm.noted_booted");
        self.watch(&mut slot, instance, process, record);
        Ok(())
    }

    /// Whether a VM of the instance is there that need not, or must not, be booted.
    async fn is_there(&self, slot: &mut Slot, instance: Id<Instance>) -> Result<bool, HostError> {
        let found = self.find(slot, instance).await.map_err(|error| host_error("look for a VMM", &error))?;
        let Found::Lives(mut record, process, info) = found else { return Ok(false) };
        let info = match info {
            Ok(info) => *info,
            // It was never seen to run, and so it is not a guest that would be lost.
            Err(_) if !record.booted => return Ok(false),
            Err(reason) => return Err(HostError::Failed(format!("{reason}; kill it first"))),
        };
        match info.state {
            VmState::Empty | VmState::Configured => return Ok(false),
            // The daemon before asked for it, and does not hear how it ends.
            VmState::Booting if info.boots == 0 => return Ok(false),
            VmState::Booting | VmState::Running | VmState::Paused => {}
            VmState::Exited => {
                let told = slot.watch.as_ref().and_then(|watch| watch.end.get());
                let told =
                    told.or(record.end.is_some().then(|| info.exit.as_ref().map(sight_of_exit)).flatten());
                if let Some(sight) = told {
                    let reason = sight.reason;
                    return Err(HostError::Failed(format!("its VM has ended: {reason}; kill its VMM first")));
                }
            }
        }
        self.note_booted(instance, &mut record);
        self.watch(slot, instance, process, record);
        Ok(true)
    }

    /// Makes the process, and puts it on record before it becomes a VMM.
    async fn start(
        &self,
        instance: Id<Instance>,
        limits: CgroupLimits,
        namespace: Option<&Path>,
    ) -> Result<(Record, Arc<Process>), HostError> {
        let program = &self.config.program;
        match fs::metadata(program) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(HostError::Failed(format!("the VMM {} is not a program", program.display())));
            }
            Err(error) => return Err(host_error(&format!("use the VMM {}", program.display()), &error)),
        }
        let folder = self.folder(instance);
        let failed = |error: io::Error| host_error("start a VMM", &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        fail::point("vmm.folder_made");
        self.consoles.begin(instance).map_err(|error| host_error("keep the console's output", &error))?;
        fail::point("console.begun");
        let place = self
            .cgroups
            .make(instance, limits)
            .map_err(|error| host_error("make the VMM's cgroup", &error))?;
        fail::point("cgroup.made");

        let stderr =
            File::options().append(true).create(true).open(folder.join(STDERR_FILE)).map_err(failed)?;
        let [launcher, words @ ..] = &self.config.launcher[..] else {
            return Err(HostError::Failed("there is no launcher of VMMs".into()));
        };
        let mut command = Command::new(launcher);
        command.args(words).args(launch_words(place.as_ref(), namespace, instance, limits)).arg(program);
        command.arg("--id").arg(instance.to_string());
        command.arg("--control").arg(control_path(&self.config.run_folder, instance));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
        command.current_dir("/").env_clear().env("PATH", PATH);
        let mut child = command.spawn().map_err(failed)?;
        fail::point("launcher.started");
        let word = child.stdin.take();
        // From here on nobody else waits for it.
        let process = Arc::new(Process::of_child(child.id()).map_err(failed)?);
        let record = Record {
            boot_id: self.boot_id.clone(),
            process: process.identity(),
            place,
            booted: false,
            seen: 0,
            end: None,
        };
        record.write(&folder).map_err(|error| host_error("put the VMM on record", &error))?;
        fail::point("vmm.recorded");
        let said = word.map(say_go);
        fail::point("vmm.released");
        match said {
            Some(Ok(())) => Ok((record, process)),
            // It has ended, and said why.
            _ => Err(self.last_words(instance, &process, &record, "start a VMM").await),
        }
    }

    /// Configures and boots the VM of a process that was just started.
    async fn bring_up(
        &self,
        instance: Id<Instance>,
        config: &VmConfig,
        process: &Process,
        record: &Record,
    ) -> Result<(), HostError> {
        let path = control_path(&self.config.run_folder, instance);
        let limit = self.config.start_limit;
        let mut doing = "start a VMM";
        let result = async {
            let client = Client::connect_when_ready(path, limit).await?;
            fail::point("vmm.connected");
            doing = "configure the VM";
            let configured = timeout(limit, client.configure(config)).await;
            configured
                .unwrap_or(Err(ClientError::Timeout("the VMM's answer to its configuration", limit)))?;
            fail::point("vmm.configured");
            doing = "boot the VM";
            client.boot().await?;
            fail::point("vmm.booted");
            Ok(())
        };
        let result = tokio::select! {
            biased;
            result = result => result,
            () = process.gone() => Err(ClientError::Protocol("the VMM ended".into())),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error @ (ClientError::Refused(_) | ClientError::Timeout(..))) => {
                Err(client_error(doing, &error))
            }
            Err(error) => {
                // Most often because the VMM ended: then it says why.
                let _ = timeout(LAST_BREATH, process.gone()).await;
                if process.is_gone() {
                    Err(self.last_words(instance, process, record, doing).await)
                } else {
                    Err(client_error(doing, &error))
                }
            }
        }
    }

    async fn last_words(
        &self,
        instance: Id<Instance>,
        process: &Process,
        record: &Record,
        doing: &str,
    ) -> HostError {
        let _ = timeout(LAST_BREATH, process.gone()).await;
        let reason = death(&self.folder(instance), process, record.place.as_ref(), false).await;
        HostError::Failed(format!("cannot {doing}: {reason}"))
    }

    /// Ends what was started in vain.
    async fn give_up(&self, slot: &Slot, instance: Id<Instance>, error: HostError) -> HostError {
        if let Err(another) = self.end(slot, instance).await {
            log::warn!("{instance}: {another}");
        }
        error
    }
}

fn say_go(mut word: ChildStdin) -> io::Result<()> {
    word.write_all(&[GO])
}
