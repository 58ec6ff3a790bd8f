//! A text allocator of your own, compared with the kernel's on one trace.
//!
//! ```text
//! cargo run --release --example own_policy
//! ```
//!
//! The design tried here: packs of 64 KiB, each one contiguous order-4 block where the page allocator has one. It is a
//! compromise between the packs of one page of 5.18 and the packs of 2 MiB that came after.

use fragsim::direct_map::CounterView;
use fragsim::kernel::{HostSetup, Release};
use fragsim::memory::{MemoryLayout, StartState};
use fragsim::replay::{Contender, Observing, Sampling, replay};
use fragsim::text_alloc::{
    AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, PackDesign, Packs, Policy, PolicyOptions, TextAllocator,
    TextPerms,
};
use fragsim::trace::{Event, EventKind, Images, InMemory, Load, ProgId};
use fragsim::units::{Bytes, PageSize, SimTime};

/// Packs of 64 KiB.
struct Pack64k;

impl PackDesign for Pack64k {
    type Memory = AreaId;

    fn pack_pages(&self, _: &dyn Areas) -> u64 {
        16
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        let area = areas.open(AreaRequest { pages, backing: Backing::LargeOrdersFirst, reset_on_free: true })?;
        areas.protect(area, pages, TextPerms::Rox);
        Ok(area)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, _: u64) {
        areas.close(area, GiveBack::Release);
    }
}

/// A thousand programs of 200 to 4000 bytes, one every 50 ms, each unloaded ten seconds later.
fn trace() -> Vec<Event> {
    let at = |millis: u64, kind| Event { time: SimTime::from_nanos(millis * 1_000_000), kind };
    let mut events = Vec::new();
    for number in 0..1000_u64 {
        let images = Images::one(200 + (number * 37 % 39) as u32 * 100).expect("the length is not 0");
        let load = Load { id: ProgId::new(number), images, insns: 0, jited: true };
        events.push(at(number * 50, EventKind::Load(load)));
        events.push(at(number * 50 + 10_000, EventKind::Unload { id: ProgId::new(number) }));
    }
    events.sort_by_key(|event| event.time);
    events
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = MemoryLayout::server(Bytes::new(16 << 30), 1)?;
    let host = HostSetup {
        release: Release::named("6.1").expect("6.1 is a release"),
        layout: &layout,
        start: &StartState::Fresh,
        cpus: 1,
        largest_page: PageSize::Size1G,
        boot_program: false,
        seed: 1,
        run: 0,
    };
    let kernels = Policy::ALL.map(|policy| (policy.name(), policy.build(PolicyOptions::default())));
    let own: (&str, Box<dyn TextAllocator>) = ("pack-64k", Box::new(Packs::new(Pack64k, true)));
    let (names, contenders): (Vec<_>, Vec<_>) =
        kernels.into_iter().chain([own]).map(|(name, text)| (name, Contender { host: host.clone(), text })).unzip();

    let observing = Observing { sampling: Sampling::Points(100), layouts: 8, view: CounterView::Mapped };
    let outcomes = replay(contenders, &mut InMemory::new(trace()), observing, &|_| {})?;
    println!("{:<14} {:>14} {:>14} {:>18}", "allocator", "level2 splits", "level3 splits", "executable pages");
    for (name, outcome) in names.into_iter().zip(outcomes) {
        let map = outcome.finish.map;
        println!(
            "{name:<14} {:>14} {:>14} {:>18}",
            map.level2_splits, map.level3_splits, outcome.peaks.executable_pages
        );
    }
    Ok(())
}
