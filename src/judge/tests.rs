//! The judge is judged: it must agree with the model as it is, and notice where the model or a recording is wrong.

use super::*;
use crate::kernel::Release;
use crate::recording::{Operation, Recording, RecordingReader, SHIPPED};
use crate::text_alloc::Policy;

fn shipped(name: &str) -> Recording {
    let path = format!("{name}.jsonl.zst");
    let shipped = SHIPPED.iter().find(|shipped| shipped.path == path).unwrap_or_else(|| panic!("{name} does not ship"));
    RecordingReader::from_reader(name, shipped.bytes).unwrap().read_all().unwrap()
}

/// The steps on which kernel and model differ, each with what was done and whether the kernel split an entry.
fn differing(recording: &Recording, subject: &Subject) -> Vec<(u32, Operation, bool)> {
    let mut steps = Vec::new();
    let verdict = mechanics_with(recording, subject, |view| {
        if !view.agrees() {
            steps.push((view.step, view.record.operation.clone(), view.kernel.splits()));
        }
    });
    assert_eq!(verdict.model.all.of - verdict.model.all.agreeing, steps.len() as u64);
    assert_eq!(verdict.first.as_ref().map(|first| first.step), steps.first().map(|(step, ..)| *step), "{verdict:?}");
    assert_eq!(verdict.agrees(), steps.is_empty());
    steps
}

fn with_policy(recording: &Recording, policy: Policy) -> Subject {
    Subject { policy, ..Subject::of(&recording.header).unwrap() }
}

#[test]
fn the_model_as_it_is_agrees() {
    for name in
        ["debian/5.10.262/E10-4096M", "debian/6.12.117/E12-4096M", "debian/7.3.4/E6-4096M", "patched/G1/P1-4096M"]
    {
        let recording = shipped(name);
        assert_eq!(differing(&recording, &Subject::of(&recording.header).unwrap()), [], "{name}");
    }
}

/// Without the reset at free no pack of huge pages splits when it is freed: as many steps differ as the kernel had splits.
#[test]
fn a_missing_reset_is_noticed_where_packs_are_freed() {
    for (name, splits) in [("patched/G1/P1-4096M", 6), ("patched/G1split/P1-4096M", 28)] {
        let recording = shipped(name);
        let steps = differing(&recording, &with_policy(&recording, Policy::Pack2mFixed));
        assert_eq!(steps.len(), splits, "{name}: {steps:?}");
        assert!(steps.iter().all(|(_, operation, split)| matches!(operation, Operation::Unload { .. }) && *split));
    }
}

/// With a reset that the kernel does not make, the model splits at the first free of each block and the kernel never.
#[test]
fn a_reset_too_many_is_noticed_where_packs_are_freed() {
    let recording = shipped("patched/G1fix/P1-4096M");
    let steps = differing(&recording, &with_policy(&recording, Policy::Pack2m));
    assert!(steps.len() >= 15, "{steps:?}");
    assert!(steps.iter().all(|(_, operation, split)| matches!(operation, Operation::Unload { .. }) && !split));
}

/// Page-wise calls over a contiguous block split it; one call over all of it does not.
#[test]
fn calls_page_by_page_are_noticed_where_packs_are_made() {
    let recording = shipped("debian/7.3.4/E3-n3000-4096M");
    let steps = differing(&recording, &with_policy(&recording, Policy::PackContig));
    assert!(steps.len() >= 4, "{steps:?}");
    assert!(matches!(steps[0].1, Operation::Load(_)) && !steps[0].2, "{steps:?}");
}

/// A kernel that frees packs as 5.18-rc1 did would split at unload what 6.1 splits at load.
#[test]
fn another_allocator_is_noticed_at_the_first_image() {
    let recording = shipped("debian/5.10.262/E5-4096M");
    let steps = differing(&recording, &with_policy(&recording, Policy::Pack4k));
    // Packs take many images, so the kernel maps pages that the model never asks for.
    assert!(steps.len() > 900, "{}", steps.len());
    let recording = shipped("patched/G2/E5-4096M");
    assert_eq!(differing(&recording, &with_policy(&recording, Policy::PerProg)).first().map(|step| step.0), Some(1));
}

#[test]
fn modules_of_another_release_are_noticed() {
    let recording = shipped("debian/6.18.15/E12-4096M");
    let subject = Subject::of(&recording.header).unwrap();
    let wrong = Subject { release: Release::named("6.12").unwrap(), ..subject };
    let steps = differing(&recording, &wrong);
    assert!(matches!(&steps[0].1, Operation::ModuleLoad { name, .. } if name == "dummy"), "{steps:?}");
}

#[test]
fn a_changed_counter_is_noticed_at_its_step_and_the_next() {
    let mut recording = shipped("debian/6.1.192/E6-4096M");
    let counters = recording.records.iter_mut().find(|record| record.step == Some(7)).unwrap().counters.as_mut();
    counters.unwrap().direct_map_4k += 4;
    let steps = differing(&recording, &Subject::of(&recording.header).unwrap());
    assert_eq!(steps.iter().map(|(step, ..)| *step).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn a_changed_permission_is_noticed() {
    let mut recording = shipped("debian/5.10.262/E3-4096M");
    let load = recording.records.iter_mut().find(|record| record.step == Some(3)).unwrap();
    load.walk.as_mut().unwrap().perms[0].1 += 1;
    let steps = differing(&recording, &Subject::of(&recording.header).unwrap());
    assert_eq!(steps.first().map(|(step, ..)| *step), Some(3));
}

#[test]
fn boots_are_judged_by_their_memory() {
    let mut recording = shipped("debian/6.18.15/E1-8192M");
    let boot = judge_boot(&recording);
    assert_eq!((boot.agrees(), boot.level2, boot.level3, boot.image), (true, 5, 1, 5));
    recording.header.counters.direct_map_1g -= 1 << 20;
    assert!(judge_boot(&recording).differences[0].starts_with("/proc/meminfo shows"));
    recording.header.totals.w2m += 2048;
    assert!(judge_boot(&recording).differences[0].starts_with("walked"));
    recording.header.ram_mib = 4096;
    assert!(judge_boot(&recording).differences[0].contains("by splitting"));
    assert!(!mechanics(&recording).unwrap().agrees());
}

#[test]
fn kernels_without_a_model_are_named() {
    let mut recording = shipped("debian/7.0.13/E1-4096M");
    recording.header.release = "4.19.0-1-amd64".to_owned();
    assert!(mechanics(&recording).unwrap_err().to_string().contains("release `4.19.0-1-amd64`"));
    // A release that is not known counts as the newest one before it, a candidate as the release it led to, but for the
    // three candidates of 5.18 with packs of huge pages.
    for (release, known) in [
        ("7.1.13-amd64", "7.1"),
        ("8.0.1", "7.3"),
        ("6.12.0-rc2", "6.12"),
        ("5.18.0-rc3", "5.18-rc1"),
        ("5.18.0-rc4", "5.18"),
        ("5.18.7", "5.18"),
    ] {
        recording.header.release = release.to_owned();
        assert_eq!(Subject::of(&recording.header).unwrap().release.name, known, "{release}");
    }
}

#[test]
fn a_step_is_told_in_words() {
    let recording = shipped("debian/5.10.262/E10-4096M");
    let mut texts = Vec::new();
    mechanics_with(&recording, &Subject::of(&recording.header).unwrap(), |view| texts.push(explain(view, true)));
    assert_eq!(
        texts[1],
        "step 2: load of descriptor 5\n  \
           verdict   kernel and model agree\n  \
           kernel    splits 1 GiB entries 4; splits 2 MiB blocks 2057; permissions of frames 1053373 (1) rw to ro; \
         DirectMap4k +2048 kB, DirectMap2M +1046528 kB, DirectMap1G -1048576 kB\n  \
           model     splits 1 GiB entries 4; splits 2 MiB blocks 2057; permissions of frames 1053373 (1) rw to ro; \
         DirectMap4k +2048 kB, DirectMap2M +1046528 kB, DirectMap1G -1048576 kB\n  \
           one line  splits 1 GiB entries 4; splits 2 MiB blocks 2057; permissions of frames 1053373 (1) rw to ro; \
         DirectMap4k +2048 kB, DirectMap2M +1046528 kB, DirectMap1G -1048576 kB\n  \
           mapping   0xffffffffc0002000 (1 pages): - to rox, frames 1053373 (1)\n  \
           call      read-only, page by page: frames 1053373 (1)\n  \
           counters  DirectMap4k 24444 kB, DirectMap2M 4169728 kB, DirectMap1G 2097152 kB, MemFree 3995872 kB after \
         the step\n"
    );
    assert!(texts[2].contains("call      not present (reset at free), page by page"), "{}", texts[2]);
}
