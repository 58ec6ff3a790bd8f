//! Free memory in the kernel's own words: `/proc/buddyinfo` and `/proc/pagetypeinfo`.

use std::fmt::Write as _;

use super::allocator::Memory;
use super::migrate::MigrateType;
use super::zone::Zone;
use crate::units::{Order, PAGES_PER_2M};

/// `pagetypeinfo_showfree_print` stops counting here, so that the zone lock is not held for long.
const COUNT_LIMIT: u64 = 100_000;
/// Types that this model leaves empty but the kernel prints.
const UNUSED_TYPES: [&str; 2] = ["HighAtomic", "Isolate"];

impl Memory {
    /// The text of `/proc/buddyinfo`: free blocks of each order, one line for each zone (`frag_show_print@6.1`).
    pub fn buddyinfo(&self) -> String {
        let mut text = String::new();
        for zone in &self.zones {
            text += &format!("Node {}, zone {:>8} ", zone.node, zone.class.name());
            for order in Order::all() {
                text += &format!("{:6} ", zone.buddy.blocks(order.index()));
            }
            text.push('\n');
        }
        text
    }

    /// The text of `/proc/pagetypeinfo`: free blocks of each type and order, then pageblocks of each type
    /// (`pagetypeinfo_show@6.1`).
    pub fn pagetypeinfo(&self) -> String {
        let mut text =
            format!("Page block order: {}\nPages per block:  {}\n\n", Order::PAGEBLOCK.get(), Order::PAGEBLOCK.pages());
        text += &format!("{:<43} ", "Free pages count per migrate type at order");
        for order in Order::all() {
            text += &format!("{:6} ", order.get());
        }
        text.push('\n');
        for zone in &self.zones {
            free_lines(&mut text, zone);
        }
        text += &format!("\n{:<23}", "Number of blocks type ");
        for name in MigrateType::ALL.map(MigrateType::name).into_iter().chain(UNUSED_TYPES) {
            text += &format!("{name:>12} ");
        }
        text.push('\n');
        for zone in &self.zones {
            block_line(&mut text, zone);
        }
        text
    }
}

fn free_lines(text: &mut String, zone: &Zone) {
    let line = |name: &str, count: &dyn Fn(usize) -> u64| {
        let mut line = format!("Node {:4}, zone {:>8}, type {name:>12} ", zone.node, zone.class.name());
        for order in Order::all() {
            let count = count(order.index());
            let (sign, shown) = if count >= COUNT_LIMIT { (">", COUNT_LIMIT) } else { ("", count) };
            line += &format!("{sign}{shown:6} ");
        }
        line + "\n"
    };
    for kind in MigrateType::ALL {
        *text += &line(kind.name(), &|order| zone.buddy.blocks_of(kind, order));
    }
    for name in UNUSED_TYPES {
        *text += &line(name, &|_| 0);
    }
}

fn block_line(text: &mut String, zone: &Zone) {
    let [unmovable, reclaimable] = zone.buddy.other_kinds();
    let unmovable = unmovable + zone.boot_unmovable;
    let counts = [unmovable, pageblocks(zone).saturating_sub(unmovable + reclaimable), reclaimable, 0, 0];
    *text += &format!("Node {}, zone {:>8} ", zone.node, zone.class.name());
    for count in counts {
        // Writing to a string cannot fail.
        let _ = write!(text, "{count:12} ");
    }
    text.push('\n');
}

/// Pageblocks that hold RAM of the zone.
pub(super) fn pageblocks(zone: &Zone) -> u64 {
    let mut count = 0;
    let mut next = 0;
    for range in &zone.ranges {
        let first = (range.start().get() / PAGES_PER_2M).max(next);
        next = range.end().get().div_ceil(PAGES_PER_2M);
        count += next.saturating_sub(first);
    }
    count
}
