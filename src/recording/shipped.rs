//! The recordings that are part of the program.

/// A recording in the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its file below `recordings/`.
    pub path: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// The table of the files named.
macro_rules! shipped {
    ($($path:literal,)*) => {
        &[$(Shipped {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/", $path)),
        },)*]
    };
}

/// Every recording under `recordings/`, in the order of names. A test says what is missing here.
pub static SHIPPED: &[Shipped] = shipped![
    "debian/5.10.262/E1-1024M.jsonl.zst",
    "debian/5.10.262/E1-2048M.jsonl.zst",
    "debian/5.10.262/E1-4096M.jsonl.zst",
    "debian/5.10.262/E1-8192M.jsonl.zst",
    "debian/5.10.262/E10-4096M.jsonl.zst",
    "debian/5.10.262/E11-2048M.jsonl.zst",
    "debian/5.10.262/E11-shuffle-2048M.jsonl.zst",
    "debian/5.10.262/E2-keep-4096M.jsonl.zst",
    "debian/5.10.262/E2-unload-4096M.jsonl.zst",
    "debian/5.10.262/E3-4096M.jsonl.zst",
    "debian/5.10.262/E3-n3000-4096M.jsonl.zst",
    "debian/5.10.262/E4-4096M.jsonl.zst",
    "debian/5.10.262/E5-4096M.jsonl.zst",
    "debian/5.10.262/E6-4096M.jsonl.zst",
    "debian/5.10.262/E7-2048M.jsonl.zst",
    "debian/6.1.172/P2-2048M.jsonl.zst",
    "debian/6.1.192/E1-1024M.jsonl.zst",
    "debian/6.1.192/E1-2048M.jsonl.zst",
    "debian/6.1.192/E1-4096M.jsonl.zst",
    "debian/6.1.192/E1-8192M.jsonl.zst",
    "debian/6.1.192/E11-2048M.jsonl.zst",
    "debian/6.1.192/E11-shuffle-2048M.jsonl.zst",
    "debian/6.1.192/E11-shuffle-n3000-2048M.jsonl.zst",
    "debian/6.1.192/E2-keep-4096M.jsonl.zst",
    "debian/6.1.192/E3-4096M.jsonl.zst",
    "debian/6.1.192/E3-n3000-4096M.jsonl.zst",
    "debian/6.1.192/E5-4096M.jsonl.zst",
    "debian/6.1.192/E6-4096M.jsonl.zst",
    "debian/6.1.192/E7-2048M.jsonl.zst",
    "debian/6.12.117/E1-1024M.jsonl.zst",
    "debian/6.12.117/E1-2048M.jsonl.zst",
    "debian/6.12.117/E1-4096M.jsonl.zst",
    "debian/6.12.117/E1-8192M.jsonl.zst",
    "debian/6.12.117/E12-4096M.jsonl.zst",
    "debian/6.12.117/E2-keep-4096M.jsonl.zst",
    "debian/6.12.117/E3-4096M.jsonl.zst",
    "debian/6.12.117/E3-n3000-4096M.jsonl.zst",
    "debian/6.12.117/E6-4096M.jsonl.zst",
    "debian/6.16.12/E1-4096M.jsonl.zst",
    "debian/6.16.12/E12-4096M.jsonl.zst",
    "debian/6.16.12/E6-4096M.jsonl.zst",
    "debian/6.18.15/E1-1024M.jsonl.zst",
    "debian/6.18.15/E1-2048M.jsonl.zst",
    "debian/6.18.15/E1-4096M.jsonl.zst",
    "debian/6.18.15/E1-8192M.jsonl.zst",
    "debian/6.18.15/E12-4096M.jsonl.zst",
    "debian/6.18.15/E3-4096M.jsonl.zst",
    "debian/6.18.15/E3-n3000-4096M.jsonl.zst",
    "debian/6.18.15/E6-4096M.jsonl.zst",
    "debian/6.19.14/E1-4096M.jsonl.zst",
    "debian/6.19.14/E6-4096M.jsonl.zst",
    "debian/7.0.13/E1-4096M.jsonl.zst",
    "debian/7.0.13/E3-n3000-4096M.jsonl.zst",
    "debian/7.3.4/E1-1024M.jsonl.zst",
    "debian/7.3.4/E1-2048M.jsonl.zst",
    "debian/7.3.4/E1-4096M.jsonl.zst",
    "debian/7.3.4/E1-8192M.jsonl.zst",
    "debian/7.3.4/E10-4096M.jsonl.zst",
    "debian/7.3.4/E12-4096M.jsonl.zst",
    "debian/7.3.4/E2-keep-4096M.jsonl.zst",
    "debian/7.3.4/E2-unload-4096M.jsonl.zst",
    "debian/7.3.4/E3-4096M.jsonl.zst",
    "debian/7.3.4/E3-n3000-4096M.jsonl.zst",
    "debian/7.3.4/E6-4096M.jsonl.zst",
    "patched/G0/E1-4096M.jsonl.zst",
    "patched/G0/E2-keep-4096M.jsonl.zst",
    "patched/G0/E3-4096M-noptp.jsonl.zst",
    "patched/G0/E3-4096M.jsonl.zst",
    "patched/G0/E3-n3000-4096M.jsonl.zst",
    "patched/G0/E5-4096M.jsonl.zst",
    "patched/G0/E6-4096M.jsonl.zst",
    "patched/G0/P1-4096M-noptp.jsonl.zst",
    "patched/G0/P1-4096M.jsonl.zst",
    "patched/G0/P1-8192M.jsonl.zst",
    "patched/G1/E1-4096M.jsonl.zst",
    "patched/G1/E2-keep-4096M.jsonl.zst",
    "patched/G1/E3-4096M-noptp.jsonl.zst",
    "patched/G1/E3-4096M.jsonl.zst",
    "patched/G1/E3-n3000-4096M.jsonl.zst",
    "patched/G1/E5-4096M.jsonl.zst",
    "patched/G1/E6-4096M.jsonl.zst",
    "patched/G1/P1-4096M-noptp.jsonl.zst",
    "patched/G1/P1-4096M.jsonl.zst",
    "patched/G1/P1-8192M.jsonl.zst",
    "patched/G1/P1-rev-4096M.jsonl.zst",
    "patched/G1fix/E1-4096M.jsonl.zst",
    "patched/G1fix/E2-keep-4096M.jsonl.zst",
    "patched/G1fix/E3-4096M-noptp.jsonl.zst",
    "patched/G1fix/E3-4096M.jsonl.zst",
    "patched/G1fix/E3-n3000-4096M.jsonl.zst",
    "patched/G1fix/E5-4096M.jsonl.zst",
    "patched/G1fix/E6-4096M.jsonl.zst",
    "patched/G1fix/P1-4096M-noptp.jsonl.zst",
    "patched/G1fix/P1-4096M.jsonl.zst",
    "patched/G1fix/P1-8192M.jsonl.zst",
    "patched/G1split/E1-4096M.jsonl.zst",
    "patched/G1split/E2-keep-4096M.jsonl.zst",
    "patched/G1split/E3-4096M-noptp.jsonl.zst",
    "patched/G1split/E3-4096M.jsonl.zst",
    "patched/G1split/E3-n3000-4096M.jsonl.zst",
    "patched/G1split/E5-4096M.jsonl.zst",
    "patched/G1split/E6-4096M.jsonl.zst",
    "patched/G1split/P1-4096M-noptp.jsonl.zst",
    "patched/G1split/P1-4096M.jsonl.zst",
    "patched/G1split/P1-8192M.jsonl.zst",
    "patched/G1split/P1-rev-4096M.jsonl.zst",
    "patched/G2/E1-4096M.jsonl.zst",
    "patched/G2/E2-keep-4096M.jsonl.zst",
    "patched/G2/E3-4096M-noptp.jsonl.zst",
    "patched/G2/E3-4096M.jsonl.zst",
    "patched/G2/E3-n3000-4096M.jsonl.zst",
    "patched/G2/E5-4096M.jsonl.zst",
    "patched/G2/E6-4096M.jsonl.zst",
    "patched/G2/P1-4096M-noptp.jsonl.zst",
    "patched/G2/P1-4096M.jsonl.zst",
    "patched/G2/P1-8192M.jsonl.zst",
    "patched/G3-unpatched/E1-4096M.jsonl.zst",
    "patched/G3-unpatched/E2-keep-4096M.jsonl.zst",
    "patched/G3-unpatched/E3-4096M.jsonl.zst",
    "patched/G3-unpatched/E3-n3000-4096M.jsonl.zst",
    "patched/G3-unpatched/E5-4096M.jsonl.zst",
    "patched/G3-unpatched/E6-4096M.jsonl.zst",
    "patched/G3-unpatched/P1-4096M.jsonl.zst",
    "patched/G3/E1-4096M.jsonl.zst",
    "patched/G3/E2-keep-4096M.jsonl.zst",
    "patched/G3/E3-4096M-noptp.jsonl.zst",
    "patched/G3/E3-4096M.jsonl.zst",
    "patched/G3/E3-n3000-4096M.jsonl.zst",
    "patched/G3/E5-4096M.jsonl.zst",
    "patched/G3/E6-4096M.jsonl.zst",
    "patched/G3/P1-4096M-noptp.jsonl.zst",
    "patched/G3/P1-4096M.jsonl.zst",
    "patched/G3/P1-8192M.jsonl.zst",
];

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::recording::collect;

    #[test]
    fn every_recording_of_the_repository_is_in_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
        let files: Vec<PathBuf> = collect(std::slice::from_ref(&folder)).unwrap();
        let mut lines: Vec<String> =
            files.iter().map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned()).collect();
        lines.sort();
        let table: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.path).collect();
        let wanted: String = lines.iter().map(|line| format!("    {line:?},\n")).collect();
        assert_eq!(table, lines, "the table in src/recording/shipped.rs should be\n{wanted}");
        let total: usize = SHIPPED.iter().map(|shipped| shipped.bytes.len()).sum();
        assert!(total < 10 << 20, "{total} bytes of recordings are too many");
    }
}
