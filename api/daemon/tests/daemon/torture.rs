//! The daemon dies at each of its fail points, in whatever story comes to it, and the story goes on with the next daemon, which
//! may die as well. The same with the core alone, at tens of thousands of moments, is done by the core's own torture test.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bothyd::fail::POINTS;

use crate::node::{may_run, spawn_in_namespace};
use crate::stories::{STORIES, Tell};
use crate::story::Story;

/// How many stories are lived at a time: they wait for disks and for processes more than they compute.
const AT_ONCE: usize = 4;

/// Each so-manieth change of a record is one at which a daemon dies.
const RECORDS_STEP: usize = 8;

/// Longest that one story may take.
const LONGEST: Duration = Duration::from_secs(120);

/// How many times a daemon comes to each point of a story without a death.
type Passed = BTreeMap<String, u32>;

/// A story and where its daemons die.
struct Trial {
    name: &'static str,
    tell: Tell,
    deaths: Vec<String>,
    /// Whether one of them must come.
    is_certain: bool,
}

#[test]
fn a_daemon_may_die_at_each_of_its_fail_points() {
    if !may_run() {
        return;
    }
    let begin = Instant::now();
    let whole: Vec<(&str, Tell, Passed)> =
        STORIES.iter().map(|&(name, tell)| (name, tell, live(name, tell, &[]).unwrap().1)).collect();
    let passed: BTreeSet<&str> =
        whole.iter().flat_map(|(_, _, passed)| passed.keys().map(String::as_str)).collect();
    let missing: Vec<&str> = POINTS.iter().copied().filter(|point| !passed.contains(point)).collect();
    assert!(missing.is_empty(), "no story comes to {missing:?}");
    println!("{} stories without a death took {:?}", whole.len(), begin.elapsed());

    let trials = trials(&whole);
    let count = trials.len();
    let (queue, deaths) = (Mutex::new(VecDeque::from(trials)), Mutex::new(0));
    let failed = Mutex::new(Vec::new());
    let worker = || {
        while let Some(trial) = { queue.lock().unwrap().pop_front() } {
            match live(trial.name, trial.tell, &trial.deaths) {
                // How often the others are passed may differ a little from life to life.
                Ok((0, _)) if trial.is_certain => {
                    failed
                        .lock()
                        .unwrap()
                        .push(format!("{}: nothing died at {:?}", trial.name, trial.deaths));
                }
                Ok((died, _)) => *deaths.lock().unwrap() += died,
                Err(why) => failed.lock().unwrap().push(why),
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(worker))));
    println!("{count} stories with {} deaths, {:?} in all", deaths.lock().unwrap(), begin.elapsed());
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {count} stories failed:\n{}", failed.len(), failed.join("\n"));
}

/// Each point in the first story that comes to it; in those of a host that is cleared and of older records, which are about a
/// few moments, all of theirs. Points of records are taken at several of the many times that they are passed. Each second
/// time the next daemon dies too, at a point that differs from trial to trial.
fn trials(whole: &[(&'static str, Tell, Passed)]) -> Vec<Trial> {
    let (mut trials, mut known) = (Vec::new(), BTreeSet::new());
    for (name, tell, passed) in whole {
        let is_short = ["a cleared host", "older records"].contains(name);
        for (point, &times) in passed.iter().filter(|(point, _)| is_short || !known.contains(*point)) {
            let mut chosen = BTreeSet::from([1]);
            if point.starts_with("records.") && !is_short {
                chosen.extend((1..=times).step_by(RECORDS_STEP));
            }
            for nth in chosen {
                let mut deaths = vec![format!("{point}:{nth}")];
                if trials.len() % 2 == 0 {
                    deaths.push(POINTS[trials.len() * 7 % POINTS.len()].to_owned());
                }
                trials.push(Trial { name, tell: *tell, deaths, is_certain: nth == 1 });
            }
        }
        known.extend(passed.keys().cloned());
    }
    trials
}

/// Lives a story, on a host of its own: how many daemons died, and what they passed.
fn live(name: &'static str, tell: Tell, deaths: &[String]) -> Result<(usize, Passed), String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let told = deaths.to_vec();
    let thread = spawn_in_namespace(move || async move {
        let mut story = Story::new(told);
        let lived = tokio::time::timeout(LONGEST, tell(&mut story)).await;
        assert!(lived.is_ok(), "it has no end:\n{}", story.node.log());
        sender.send((story.lives_lost, story.passed())).unwrap();
    });
    // Why is said above.
    if thread.join().is_err() {
        return Err(format!("{name} failed, with deaths at {deaths:?}"));
    }
    let (died, passed) = receiver.recv().expect("it was sent before the end");
    Ok((died, passed))
}
