//! The simulated host in the terms of [`memory`](crate::memory).

use super::load::LoadedScenario;
use super::machine::{Layout, Machine, MemoryMap, MemoryRange, StartState};
use crate::memory::{self, LayoutError, MemoryLayout, NodeRange};
use crate::units::{PAGE_BYTES, Pfn, PfnRange};

impl Machine {
    /// Which page frames are memory, and of which node.
    ///
    /// # Errors
    /// The machine has too little or too much memory; a checked scenario does not.
    pub fn memory_layout(&self) -> Result<MemoryLayout, LayoutError> {
        match self.memory_map() {
            MemoryMap::Layout { memory, layout: Layout::Q35, .. } => MemoryLayout::q35(memory),
            MemoryMap::Layout { memory, layout: Layout::Server, nodes } => MemoryLayout::server(memory, nodes),
            MemoryMap::Ranges(ranges) => MemoryLayout::from_ranges(ranges.iter().map(node_range).collect()),
        }
    }
}

fn node_range(range: &MemoryRange) -> NodeRange {
    let start = Pfn::new(range.start.get() / PAGE_BYTES);
    NodeRange { node: range.node, range: PfnRange::with_len(start, range.size.get() / PAGE_BYTES) }
}

impl LoadedScenario {
    /// What is free when the trace begins.
    pub fn start_state(&self) -> memory::StartState {
        match (&self.scenario.machine.start, &self.snapshot) {
            (StartState::Aged(aged), _) => memory::StartState::Aged((*aged).into()),
            (StartState::Snapshot(_), Some(snapshot)) => memory::StartState::Snapshot(snapshot.clone()),
            // A snapshot's texts are always loaded with its scenario.
            (StartState::Fresh | StartState::Snapshot(_), _) => memory::StartState::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::StartState as Memory;
    use crate::scenario::Aged;

    #[test]
    fn every_machine_that_passes_the_checks_has_a_layout() {
        let machine = |json: &str| serde_json::from_str::<Machine>(json).unwrap().memory_layout();
        assert_eq!(machine("{}").unwrap().nodes(), 1);
        assert_eq!(machine(r#"{"memory": "64GiB", "nodes": 2}"#).unwrap().nodes(), 2);
        assert!(machine(r#"{"memory": "65532GiB", "nodes": 64}"#).is_ok());
        assert!(machine(r#"{"memory": "128MiB", "layout": "q35"}"#).is_ok());
        let ranges = machine(r#"{"ranges": [{"start": "0B", "size": "2GiB"}, {"start": "4GiB", "size": "1GiB"}]}"#);
        assert_eq!(ranges.unwrap().pages(), 3 << 18);
    }

    #[test]
    fn a_month_is_the_same_in_percent() {
        assert_eq!(memory::Aged::from(Aged::MONTH), memory::Aged::month());
        assert_ne!(Memory::Aged(Aged::MONTH.into()), Memory::Fresh);
    }
}
