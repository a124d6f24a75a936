//! Progress of slow steps, on standard error: a spinner with the step's name and time on a terminal, a line at the
//! start and the end of each step elsewhere.

use std::fmt::Display;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step under way. Finish it with `done`; dropped, it counts as failed.
pub struct Step {
    what: String,
    started: Instant,
    bar: ProgressBar,
    finished: bool,
}

impl Step {
    /// Announces a step, as in "building bothy-vmm".
    pub fn new(what: impl Display) -> Self {
        let what = what.to_string();
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            eprintln!("… {what}");
        } else {
            let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(what.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { what, started: Instant::now(), bar, finished: false }
    }

    /// A step that nobody sees, for what takes no time.
    pub fn hidden() -> Self {
        Self { what: String::new(), started: Instant::now(), bar: ProgressBar::hidden(), finished: true }
    }

    /// Shows where the step is, such as the last line of a program's output.
    pub fn say(&self, message: &str) {
        self.bar.set_message(message.to_owned());
    }

    /// The step succeeded.
    pub fn done(mut self) {
        self.finish("✔");
    }

    fn finish(&mut self, mark: &str) {
        self.finished = true;
        self.bar.finish_and_clear();
        eprintln!("{mark} {} ({:.1} s)", self.what, self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            self.finish("✘");
        }
    }
}
