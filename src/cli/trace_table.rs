//! The table that `fragsim trace stat` prints.

use crate::trace::{SizeQuantiles, TraceStat};

/// The lines of the table; what a trace does not have is left out.
pub(super) fn stat_rows(stat: &TraceStat) -> Vec<(&'static str, String)> {
    let (events, programs) = (&stat.events, &stat.programs);
    let mut rows = vec![
        ("duration", short_time(stat.duration_ns)),
        ("events", events.total.to_string()),
        ("programs loaded", events.load.to_string()),
        ("programs unloaded", events.unload.to_string()),
        ("  still loaded", programs.alive_at_end.to_string()),
        ("  several images", programs.with_several_images.to_string()),
        ("  interpreted", programs.interpreted.to_string()),
        ("peak alive", format!("{} programs, {} image bytes", programs.peak_alive, programs.peak_alive_bytes)),
    ];
    let sizes = |sizes: &SizeQuantiles| {
        let SizeQuantiles { min, p50, p75, p90, p99, max } = sizes;
        format!("min {min}, 50% {p50}, 75% {p75}, 90% {p90}, 99% {p99}, max {max} bytes")
    };
    rows.extend(programs.image_bytes.as_ref().map(|images| ("image size", sizes(images))));
    rows.extend(programs.program_bytes.as_ref().map(|all| ("program size", sizes(all))));
    rows.extend(programs.lifetime_ns.as_ref().map(|life| {
        let [min, p50, p90, max] = [life.min, life.p50, life.p90, life.max].map(short_time);
        ("life time", format!("min {min}, 50% {p50}, 90% {p90}, max {max}"))
    }));
    if events.module_load > 0 {
        let (loads, unloads, bytes) = (events.module_load, events.module_unload, stat.modules.bytes);
        rows.push(("modules", format!("{loads} loads, {unloads} unloads, {bytes} bytes")));
    }
    let trampolines = [events.trampoline_attach, events.trampoline_update, events.trampoline_detach];
    if let [attached, updated, detached] = trampolines
        && attached > 0
    {
        rows.push(("trampolines", format!("{attached} attached, {updated} updated, {detached} detached")));
    }
    if stat.memory.users > 0 {
        let memory = &stat.memory;
        let (users, taken, peak) = (memory.users, memory.taken_bytes, memory.peak_held_bytes);
        rows.push(("other memory", format!("{users} users take {taken} bytes, at most {peak} at a time")));
    }
    if events.set_memory > 0 {
        rows.push(("permission changes", events.set_memory.to_string()));
    }
    rows
}

/// A time in three digits: `84.0us`, `1.92s`, `30.0days`.
fn short_time(nanos: u64) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("days", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("min", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
    ];
    let Some((unit, size)) = UNITS.into_iter().find(|(_, size)| nanos >= *size) else { return format!("{nanos}ns") };
    let hundredths = u128::from(nanos) * 100 / u128::from(size);
    match hundredths {
        0..1000 => format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{}{unit}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{}{unit}", hundredths / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let cases = [(0, "0ns"), (84_000, "84.0us"), (1_915_868_000, "1.91s"), (86_400_000_000_000 * 300, "300days")];
        for (nanos, text) in cases {
            assert_eq!(short_time(nanos), text);
        }
    }
}
