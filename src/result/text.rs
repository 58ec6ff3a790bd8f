//! What became of executable memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::PAGE_BYTES;

/// Executable memory at one moment. `executable_pages * 4096 = image + padding + unused`, all in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextUsage {
    /// Programs that are loaded.
    pub programs: u64,
    /// Pages of 4 KiB that are executable.
    pub executable_pages: u64,
    /// Bytes that programs asked for.
    pub image_bytes: u64,
    /// Bytes that stand between what programs asked for and what they got: headers, rounding to chunks or pages.
    pub padding_bytes: u64,
    /// Bytes of executable pages that belong to no program.
    pub unused_bytes: u64,
    /// Bytes, among the unused ones, that still hold the text of programs that are gone.
    pub stale_bytes: u64,
    /// Pages of other kernel memory that came along with the loaded programs.
    pub companion_pages: u64,
}

/// Executable memory over a whole replay.
///
/// `..._at_peak` is the first moment when the most programs were loaded; names without it are the end of the replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextReport {
    /// Programs that were loaded in all.
    pub programs_loaded: u64,
    /// Programs that were unloaded in all.
    pub programs_unloaded: u64,
    /// Images that were loaded in all; a program with subprograms has several.
    pub images_loaded: u64,
    /// Most programs that were loaded at once.
    pub peak_programs_alive: u64,
    /// Programs that were loaded at the end.
    pub programs_alive: u64,
    /// Most pages of 4 KiB that were executable at once, at any moment.
    pub executable_pages_peak: u64,
    /// Pages of 4 KiB that were executable when most programs were loaded.
    pub executable_pages_at_peak: u64,
    /// The same in bytes.
    pub executable_bytes_at_peak: u64,
    /// Bytes that programs had asked for when most programs were loaded.
    pub image_bytes_at_peak: u64,
    /// Bytes lost to headers and rounding when most programs were loaded.
    pub padding_bytes_at_peak: u64,
    /// Bytes of executable pages without a program when most programs were loaded.
    pub unused_bytes_at_peak: u64,
    /// Bytes of executable memory that held no image when most programs were loaded: padding and unused.
    pub wasted_bytes_at_peak: u64,
    /// Pages of 4 KiB that were executable at the end.
    pub executable_pages: u64,
    /// The same in bytes.
    pub executable_bytes: u64,
    /// Bytes that programs had asked for at the end.
    pub image_bytes: u64,
    /// Bytes lost to headers and rounding at the end.
    pub padding_bytes: u64,
    /// Bytes of executable pages without a program at the end.
    pub unused_bytes: u64,
    /// Bytes of executable memory that held no image at the end: padding and unused.
    pub wasted_bytes: u64,
    /// Most bytes of freed text that were still executable at once, at any moment.
    pub stale_bytes_peak: u64,
    /// Bytes of freed text that were still executable at the end.
    pub stale_bytes: u64,
    /// Packs that were made.
    pub packs_created: u64,
    /// Packs that were given back.
    pub packs_freed: u64,
    /// Bytes written through the kernel's text patching, to load images and to invalidate freed ones.
    pub text_poke_bytes: u64,
    /// Most pages of other kernel memory that came along with programs, at any moment.
    pub companion_pages_peak: u64,
    /// Pages of other kernel memory that came along with the programs loaded at the end.
    pub companion_pages: u64,
}

impl TextUsage {
    /// Bytes of executable memory.
    pub const fn executable_bytes(&self) -> u64 {
        self.executable_pages.saturating_mul(PAGE_BYTES)
    }

    /// Bytes of executable memory that hold no image: padding and unused.
    pub const fn wasted_bytes(&self) -> u64 {
        self.padding_bytes.saturating_add(self.unused_bytes)
    }
}

impl TextReport {
    /// Writes down executable memory at the first moment when the most programs are loaded.
    pub const fn record_peak(&mut self, now: &TextUsage) {
        self.peak_programs_alive = now.programs;
        self.executable_pages_at_peak = now.executable_pages;
        self.executable_bytes_at_peak = now.executable_bytes();
        self.image_bytes_at_peak = now.image_bytes;
        self.padding_bytes_at_peak = now.padding_bytes;
        self.unused_bytes_at_peak = now.unused_bytes;
        self.wasted_bytes_at_peak = now.wasted_bytes();
    }

    /// Writes down executable memory at the end.
    pub const fn record_end(&mut self, now: &TextUsage) {
        self.programs_alive = now.programs;
        self.executable_pages = now.executable_pages;
        self.executable_bytes = now.executable_bytes();
        self.image_bytes = now.image_bytes;
        self.padding_bytes = now.padding_bytes;
        self.unused_bytes = now.unused_bytes;
        self.wasted_bytes = now.wasted_bytes();
        self.stale_bytes = now.stale_bytes;
        self.companion_pages = now.companion_pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_waste_follow_from_pages_and_images() {
        let peak = TextUsage {
            programs: 7,
            executable_pages: 2,
            image_bytes: 3768,
            padding_bytes: 424,
            unused_bytes: 4000,
            ..TextUsage::default()
        };
        let end = TextUsage { executable_pages: 1, unused_bytes: 4096, stale_bytes: 612, ..TextUsage::default() };
        assert_eq!(peak.executable_bytes(), peak.image_bytes + peak.wasted_bytes());
        let mut report = TextReport::default();
        report.record_peak(&peak);
        report.record_end(&end);
        assert_eq!(
            (report.peak_programs_alive, report.executable_bytes_at_peak, report.wasted_bytes_at_peak),
            (7, 8192, 4424)
        );
        assert_eq!((report.programs_alive, report.executable_bytes, report.wasted_bytes), (0, 4096, 4096));
        assert_eq!(report.stale_bytes, 612);
    }
}
