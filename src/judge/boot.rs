//! The direct map at boot: built from the memory alone, and then some splits that boot makes.

use super::mechanics::{leaves_of, visible};
use crate::direct_map::{BootOptions, Change, CounterView, DirectMap, PermChange, Perms, Walk};
use crate::memory::MemoryLayout;
use crate::recording::{LayoutTime, Recording};
use crate::units::{Bytes, PageSize, PfnRange};

/// What a recorded boot says of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootVerdict {
    /// 2 MiB entries of the direct map that the kernel has split by then.
    pub level2: u64,
    /// 1 GiB entries.
    pub level3: u64,
    /// 2 MiB entries of the kernel image's own mapping, which the counters count too.
    pub image: u64,
    /// What does not agree; empty if everything does.
    pub differences: Vec<String>,
}

impl BootVerdict {
    /// Whether the recorded boot is the model's, apart from the splits that it tells.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares the direct map that the model builds from the guest's memory with the recorded one: every recorded entry must
/// come out of the model's by splits alone, the 1 GiB, 2 MiB and 4 KiB entries must add up, and the kernel's counters
/// must be the model's with its double counts (`phys_pud_init`) and the splits of the kernel image's own mapping.
pub fn judge_boot(recording: &Recording) -> BootVerdict {
    let mut verdict = BootVerdict::default();
    let Err(difference) = compare(recording, &mut verdict) else { return verdict };
    verdict.differences.push(difference);
    verdict
}

fn compare(recording: &Recording, verdict: &mut BootVerdict) -> Result<(), String> {
    let header = &recording.header;
    let memory = header.ram_mib.saturating_mul(1 << 20);
    let layout = MemoryLayout::q35(Bytes::new(memory)).map_err(|error| error.to_string())?;
    let ram: Vec<PfnRange> = layout.ranges().iter().map(|range| range.range).collect();
    let mut map = DirectMap::boot(&ram, BootOptions::default());
    let recorded = recording.layout(LayoutTime::Boot).ok_or("no layout was recorded at boot")?;
    let recorded = leaves_of(recorded);

    let mut done = Change::default();
    for leaf in &recorded {
        let change = PermChange { set: leaf.perms, clear: Perms::PRESENT | Perms::WRITE | Perms::EXEC | Perms::DIRTY };
        let walk = if leaf.size == PageSize::Size4K { Walk::Force4k } else { Walk::Range };
        done += map.change(leaf.range, change, walk);
    }
    (verdict.level2, verdict.level3) = (u64::from(done.level2_splits), u64::from(done.level3_splits));
    if visible(map.leaves()) != visible(recorded.into_iter()) {
        return Err("the recorded entries do not come out of the model's by splitting".to_owned());
    }

    let mapped = map.counters(CounterView::Mapped);
    let walked = [header.totals.w4k, header.totals.w2m, header.totals.w1g];
    let modelled = [mapped.direct_map_4k_kb(), mapped.direct_map_2m_kb(), mapped.direct_map_1g_kb()];
    if modelled != walked {
        return Err(format!("walked {walked:?} kB in entries of 4K, 2M, 1G, the model has {modelled:?} kB"));
    }

    let shown = header.counters;
    let counted = map.counters(CounterView::Kernel);
    let block = PageSize::Size2M.bytes().get() / 1024;
    verdict.image = shown.direct_map_4k.saturating_sub(counted.direct_map_4k_kb()) / block;
    map.split_kernel_image_entry(verdict.image);
    let counted = map.counters(CounterView::Kernel);
    let modelled = [counted.direct_map_4k_kb(), counted.direct_map_2m_kb(), counted.direct_map_1g_kb()];
    let shown = [shown.direct_map_4k, shown.direct_map_2m, shown.direct_map_1g];
    if modelled != shown {
        return Err(format!("/proc/meminfo shows {shown:?} kB in DirectMap4k, 2M, 1G, the model {modelled:?} kB"));
    }
    if header.counters.level2_splits.unwrap_or(0) + header.counters.level3_splits.unwrap_or(0) > 0 {
        return Err("splits of boot are counted as events, which the model's are not".to_owned());
    }
    Ok(())
}
