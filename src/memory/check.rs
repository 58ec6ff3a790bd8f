//! Invariants, recounted the slow way.

use super::allocator::Memory;
use super::zone::Zone;

impl Memory {
    /// Recounts everything: every frame is in one place only, counts equal the lists, and no page is lost. Slow; for
    /// tests and debug builds.
    ///
    /// # Errors
    /// Says what does not fit together, and in which zone.
    pub fn check(&self) -> Result<(), String> {
        for zone in &self.zones {
            check_zone(zone).map_err(|error| format!("node {} zone {}: {error}", zone.node, zone.class.name()))?;
        }
        let (unused, managed) = (self.unused_pages(), self.managed_pages());
        if unused + self.held > managed {
            return Err(format!("{unused} unused and {} held pages are more than {managed} managed ones", self.held));
        }
        Ok(())
    }
}

fn check_zone(zone: &Zone) -> Result<(), String> {
    let mut blocks = zone.buddy.check()?;
    let cached = zone.cached_blocks();
    let pages: u64 = cached.iter().map(|block| block.1).sum();
    if pages != zone.cached_pages() {
        return Err(format!("{pages} pages on per-CPU lists, {} counted", zone.cached_pages()));
    }
    blocks.extend(cached);
    blocks.sort_unstable();
    if let Some(pair) = blocks.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        return Err(format!("blocks overlap: {pair:?}"));
    }
    let ram = |block: &(u64, u64)| {
        zone.ranges.iter().any(|range| range.start().get() <= block.0 && block.0 + block.1 <= range.end().get())
    };
    match blocks.iter().find(|block| !ram(block)) {
        // Ranges that touch each other can share a block; they are then checked frame by frame.
        Some(block) if !(block.0..block.0 + block.1).all(|pfn| ram(&(pfn, 1))) => {
            Err(format!("block {block:?} is not RAM of the zone"))
        }
        _ => Ok(()),
    }
}
