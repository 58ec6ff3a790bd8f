//! A bar for replays that take a while.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::execute::Progress;

/// A replay that ends sooner than this has no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar on standard error that appears when a replay takes a while, if that is a terminal.
pub(super) struct Bar {
    wanted: bool,
    started: Instant,
    bar: OnceLock<ProgressBar>,
}

impl Bar {
    /// A bar that is not drawn yet; never if the user wants it quiet.
    pub(super) fn new(quiet: bool) -> Self {
        Self { wanted: !quiet && std::io::stderr().is_terminal(), started: Instant::now(), bar: OnceLock::new() }
    }

    /// Draws how far the replay is.
    pub(super) fn show(&self, progress: Progress) {
        if !self.wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| draw(progress.total));
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

fn draw(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{wide_bar} {human_pos} of {human_len} events, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} events, {per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
