//! The free memory of a real host: its /proc/buddyinfo and /proc/pagetypeinfo.

use std::fmt;

use super::MemoryError;
use super::place::no_room;
use crate::memory::allocator::Memory;
use crate::memory::buddy::FreeCounts;
use crate::memory::migrate::MigrateType;
use crate::memory::text::pageblocks;
use crate::memory::zone::{Zone, ZoneClass};
use crate::units::{Order, PAGES_PER_2M};

/// Free blocks of a real host by node, zone and order; by type and with the types of the pageblocks if
/// `/proc/pagetypeinfo` was given too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    zones: Vec<SnapshotZone>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SnapshotZone {
    node: u32,
    class: ZoneClass,
    /// Free blocks of each order, from buddyinfo.
    free: [u64; Order::COUNT],
    /// Free blocks by type, from pagetypeinfo; `None` where the kernel stopped counting.
    by_kind: Option<[[Option<u64>; Order::COUNT]; MigrateType::COUNT]>,
    /// Pageblocks of each type, from pagetypeinfo.
    blocks: Option<[u64; MigrateType::COUNT]>,
}

/// Which of the two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotText {
    /// `/proc/buddyinfo`.
    Buddyinfo,
    /// `/proc/pagetypeinfo`.
    Pagetypeinfo,
}

impl fmt::Display for SnapshotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buddyinfo => "buddyinfo",
            Self::Pagetypeinfo => "pagetypeinfo",
        })
    }
}

/// What is wrong at a place of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text holds no zone.
    #[error("no line of the form `Node 0, zone Normal ...` found")]
    NoZones,
    /// A word is not what stands there in the kernel's text.
    #[error("expected {expected}, found `{found}`")]
    Unexpected {
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// The line ends too early.
    #[error("expected {expected}, but the line ends")]
    EndOfLine {
        /// What should follow.
        expected: &'static str,
    },
    /// A line with more or fewer numbers than there are orders.
    #[error("expected {} numbers, one for each order from 0 to 10, found {found}", Order::COUNT)]
    Orders {
        /// How many there are.
        found: usize,
    },
    /// A number that no host can have.
    #[error("no host has {found} of these; at most {MOST_BLOCKS} are possible")]
    TooMany {
        /// The number.
        found: u64,
    },
    /// A zone twice.
    #[error("this zone has been listed before")]
    Twice,
    /// No line of pagetypeinfo tells free blocks by type: it is another text, such as buddyinfo.
    #[error("no line of the form `Node 0, zone Normal, type Unmovable ...` found; is this /proc/pagetypeinfo?")]
    NoTypes,
    /// A zone of pagetypeinfo that buddyinfo does not have.
    #[error("buddyinfo has no such zone")]
    NotInBuddyinfo,
}

/// A text that is not what the kernel prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} line {line}, column {column}: {problem}")]
pub struct SnapshotError {
    /// Which text.
    pub text: SnapshotText,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// More blocks than the direct map has pages (64 TiB).
const MOST_BLOCKS: u64 = 1 << 34;
/// The kernel counts pageblocks of holes too: so much more than there is memory is believed, an eighth and 128 MiB.
const SPARE_SHARE: u64 = 8;
const SPARE_PAGEBLOCKS: u64 = 64;
/// Zones that no page of the kernel itself comes from.
const OTHERS_ZONES: [&str; 2] = ["Movable", "Device"];

/// What stays of small free blocks if their types are not known: this share is unmovable ...
const GUESS_UNMOVABLE: u64 = 8;
/// ... and this one reclaimable; the rest, and all blocks of 2 MiB and more, is movable.
const GUESS_RECLAIMABLE: u64 = 16;
/// How scattered the small blocks of a snapshot are taken to be, in thousandths; texts do not tell.
const SCATTER: u32 = 600;

impl Snapshot {
    /// Reads the texts of `/proc/buddyinfo` and, if there, `/proc/pagetypeinfo` of one host.
    ///
    /// Buddyinfo is what counts where the two differ, as they were not read at the same moment. Blocks of the types
    /// high-order atomic, CMA and isolated count as movable. Without pagetypeinfo an eighth of the blocks below 2 MiB
    /// is taken to be unmovable and a sixteenth reclaimable. Numbers that the kernel cuts off (`>100000`) follow from
    /// the rest.
    ///
    /// # Errors
    /// Says which text is not what the kernel prints, at which line and column.
    pub fn parse(buddyinfo: &str, pagetypeinfo: Option<&str>) -> Result<Self, SnapshotError> {
        let mut zones: Vec<SnapshotZone> = Vec::new();
        for line in lines(buddyinfo, SnapshotText::Buddyinfo) {
            let mut words = line.words();
            let (node, class) = words.zone()?;
            if zones.iter().any(|zone| (zone.node, zone.class) == (node, class)) {
                return Err(line.error(1, Problem::Twice));
            }
            let counts = words.orders()?;
            let free = counts.map(|count| count.unwrap_or_default());
            zones.push(SnapshotZone { node, class, free, by_kind: None, blocks: None });
        }
        if zones.is_empty() {
            let text = SnapshotText::Buddyinfo;
            return Err(SnapshotError { text, line: 1, column: 1, problem: Problem::NoZones });
        }
        if let Some(text) = pagetypeinfo {
            read_types(text, &mut zones)?;
        }
        Ok(Self { zones })
    }

    /// Whether the host has just booted: nine tenths of its free memory are blocks of the largest order.
    pub fn has_just_booted(&self) -> bool {
        let pages = |orders: std::ops::RangeFrom<usize>| -> u128 {
            let of = |zone: &SnapshotZone| -> u128 {
                orders.clone().zip(&zone.free[orders.clone()]).map(|(order, blocks)| u128::from(*blocks) << order).sum()
            };
            self.zones.iter().map(of).sum()
        };
        let free = pages(0..);
        free > 0 && 10 * pages(Order::MAX.index()..) >= 9 * free
    }

    fn preferred(&self, memory: &Memory) -> Option<&SnapshotZone> {
        let zone = memory.preferred_zone();
        self.zones.iter().find(|own| (own.node, own.class) == (zone.node, zone.class))
    }

    /// Unmovable pageblocks of the zone that local requests turn to first, if pagetypeinfo was given.
    pub fn unmovable_pageblocks(&self, memory: &Memory) -> Option<u64> {
        Some(self.preferred(memory)?.blocks?[MigrateType::Unmovable.index()])
    }

    /// Pages of the unmovable and of the reclaimable pageblocks of that zone that are not free, as [`Memory::taken`]
    /// counts them, if pagetypeinfo was given.
    pub fn taken(&self, memory: &Memory) -> Option<[u64; 2]> {
        let zone = self.preferred(memory)?;
        let (blocks, free) = (zone.blocks?, zone.by_kind?);
        Some([MigrateType::Unmovable, MigrateType::Reclaimable].map(|kind| {
            let pages = |(order, count): (usize, &Option<u64>)| count.unwrap_or(0) << order;
            let free: u64 = free[kind.index()].iter().enumerate().map(pages).sum();
            (blocks[kind.index()] * PAGES_PER_2M).saturating_sub(free)
        }))
    }

    /// Whether this can be a snapshot of the machine.
    ///
    /// # Errors
    /// If the machine lacks a zone of the snapshot, or has less memory there than is free by the snapshot, or far fewer
    /// pageblocks.
    pub fn fits(&self, memory: &Memory) -> Result<(), MemoryError> {
        self.check(&memory.zones)?;
        for zone in &memory.zones {
            let free = self.counts(zone);
            let room = zone.ranges.iter().map(|range| range.pages()).sum();
            if free.pages() > room {
                return Err(no_room(zone, &free, room));
            }
        }
        Ok(())
    }

    /// # Errors
    /// If the machine lacks a zone of the snapshot, or has far fewer pageblocks there.
    pub(super) fn check(&self, zones: &[Zone]) -> Result<(), MemoryError> {
        let of = |own: &SnapshotZone| zones.iter().find(|zone| (zone.node, zone.class) == (own.node, own.class));
        if let Some(own) = self.zones.iter().find(|own| of(own).is_none()) {
            return Err(MemoryError::NoSuchZone { node: own.node, zone: own.class.name() });
        }
        for own in &self.zones {
            let (told, there) = (own.blocks.map_or(0, |blocks| blocks.iter().sum()), of(own).map_or(0, pageblocks));
            if told > there + there / SPARE_SHARE + SPARE_PAGEBLOCKS {
                return Err(MemoryError::TooManyPageblocks { node: own.node, zone: own.class.name(), told, there });
            }
        }
        Ok(())
    }

    /// The free blocks of one zone; none if the snapshot does not have it.
    pub(super) fn counts(&self, zone: &Zone) -> FreeCounts {
        let mut counts = FreeCounts { scatter: SCATTER, ..FreeCounts::default() };
        let Some(own) = self.zones.iter().find(|own| (own.node, own.class) == (zone.node, zone.class)) else {
            return counts;
        };
        counts.blocks = own.blocks;
        for order in Order::all() {
            let shares = own.by_kind_of(order);
            for kind in MigrateType::ALL {
                counts.free[kind.index()][order.index()] = shares[kind.index()];
            }
        }
        counts
    }
}

impl SnapshotZone {
    /// Free blocks of one order by type; they add up to what buddyinfo says.
    fn by_kind_of(&self, order: Order) -> [u64; MigrateType::COUNT] {
        let total = self.free[order.index()];
        let Some(by_kind) = &self.by_kind else {
            let (unmovable, reclaimable) = match order < Order::PAGEBLOCK {
                true => (total / GUESS_UNMOVABLE, total / GUESS_RECLAIMABLE),
                false => (0, 0),
            };
            return [unmovable, total - unmovable - reclaimable, reclaimable];
        };
        let known: u64 = by_kind.iter().filter_map(|orders| orders[order.index()]).sum();
        let cut_off = by_kind.iter().filter(|orders| orders[order.index()].is_none()).count() as u64;
        let share = total.saturating_sub(known) / cut_off.max(1);
        let of = |kind: MigrateType| by_kind[kind.index()][order.index()].unwrap_or(share);
        let unmovable = of(MigrateType::Unmovable).min(total);
        let reclaimable = of(MigrateType::Reclaimable).min(total - unmovable);
        [unmovable, total - unmovable - reclaimable, reclaimable]
    }
}

/// Reads pagetypeinfo into the zones of buddyinfo.
fn read_types(text: &str, zones: &mut [SnapshotZone]) -> Result<(), SnapshotError> {
    let mut found = false;
    for line in lines(text, SnapshotText::Pagetypeinfo) {
        let mut words = line.words();
        let (node, class) = words.zone()?;
        let zone = zones.iter_mut().find(|zone| (zone.node, zone.class) == (node, class));
        let zone = zone.ok_or_else(|| line.error(1, Problem::NotInBuddyinfo))?;
        found = true;
        if words.skip("type") {
            let (_, name) = words.next("the name of a migrate type")?;
            let counts = words.orders()?;
            if let Some(kind) = MigrateType::ALL.into_iter().find(|kind| kind.name() == name) {
                zone.by_kind.get_or_insert([[Some(0); Order::COUNT]; MigrateType::COUNT])[kind.index()] = counts;
            }
        } else if zone.blocks.is_none() {
            // The table of pageblocks; a second one, of mixed blocks, follows in debug kernels.
            let mut blocks = [0; MigrateType::COUNT];
            for (index, count) in words.numbers()?.into_iter().enumerate() {
                // Types without lists of their own count as movable.
                blocks[if index < MigrateType::COUNT { index } else { MigrateType::Movable.index() }] +=
                    count.unwrap_or(0);
            }
            zone.blocks = Some(blocks);
        }
    }
    let fail = |problem| Err(SnapshotError { text: SnapshotText::Pagetypeinfo, line: 1, column: 1, problem });
    match zones.iter().any(|zone| zone.by_kind.is_some()) {
        true => Ok(()),
        false if found => fail(Problem::NoTypes),
        false => fail(Problem::NoZones),
    }
}

/// A line that speaks of a zone.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: SnapshotText,
    number: usize,
    content: &'a str,
}

/// The lines that speak of a zone; in pagetypeinfo headings stand between them. In buddyinfo every line must.
fn lines(content: &str, text: SnapshotText) -> impl Iterator<Item = Line<'_>> {
    let all = content.lines().enumerate().map(move |(index, content)| Line { text, number: index + 1, content });
    let of_zone = move |line: &Line<'_>| match text {
        SnapshotText::Buddyinfo => !line.content.trim().is_empty(),
        SnapshotText::Pagetypeinfo => line.content.trim_start().starts_with("Node"),
    };
    all.filter(of_zone).filter(|line| !line.is_of_others())
}

impl<'a> Line<'a> {
    fn error(&self, column: usize, problem: Problem) -> SnapshotError {
        SnapshotError { text: self.text, line: self.number, column, problem }
    }

    /// Whether it speaks of a zone that the kernel's own memory never comes from (`movable_node`, CXL, virtio-mem).
    fn is_of_others(&self) -> bool {
        let name = self.content.split_whitespace().skip_while(|word| *word != "zone").nth(1);
        name.is_some_and(|name| OTHERS_ZONES.contains(&name.trim_end_matches(',')))
    }

    fn words(&self) -> Words<'a> {
        Words { line: *self, at: 0 }
    }
}

/// The words of a line, from the left.
struct Words<'a> {
    line: Line<'a>,
    at: usize,
}

impl<'a> Words<'a> {
    /// Column and text of the next word, which is not consumed.
    fn peek(&self) -> Option<(usize, &'a str)> {
        let rest = &self.line.content[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let word = self.line.content[start..].split_whitespace().next()?;
        Some((start, word))
    }

    fn next(&mut self, expected: &'static str) -> Result<(usize, &'a str), SnapshotError> {
        let Some((start, word)) = self.peek() else {
            return Err(self.line.error(self.line.content.len() + 1, Problem::EndOfLine { expected }));
        };
        self.at = start + word.len();
        Ok((start + 1, word))
    }

    /// Steps over this word if it comes next.
    fn skip(&mut self, word: &str) -> bool {
        match self.peek() {
            Some((start, found)) if found == word => {
                self.at = start + found.len();
                true
            }
            _ => false,
        }
    }

    fn unexpected(&self, expected: &'static str, (column, found): (usize, &str)) -> SnapshotError {
        self.line.error(column, Problem::Unexpected { expected, found: found.to_owned() })
    }

    /// `Node 0, zone   Normal`, with or without a comma at the end.
    fn zone(&mut self) -> Result<(u32, ZoneClass), SnapshotError> {
        let word = self.next("`Node`")?;
        if word.1 != "Node" {
            return Err(self.unexpected("`Node`", word));
        }
        let word = self.next("a node number")?;
        let node = word.1.trim_end_matches(',').parse().map_err(|_| self.unexpected("a node number", word))?;
        let word = self.next("`zone`")?;
        if word.1 != "zone" {
            return Err(self.unexpected("`zone`", word));
        }
        const ZONES: &str = "one of the zones DMA, DMA32, Normal";
        let word = self.next(ZONES)?;
        let name = word.1.trim_end_matches(',');
        let class = ZoneClass::ALL.into_iter().find(|class| class.name() == name);
        Ok((node, class.ok_or_else(|| self.unexpected(ZONES, word))?))
    }

    /// The numbers up to the end of the line; `None` for `>100000`.
    fn numbers(&mut self) -> Result<Vec<Option<u64>>, SnapshotError> {
        let mut numbers = Vec::new();
        while self.peek().is_some() {
            let word = self.next("a number")?;
            // The sign stands right before the number or, if that is short, before its padding.
            let number = match word.1.strip_prefix('>') {
                Some("") => self.next("a number")?.1.parse().map(|_: u64| None),
                Some(number) => number.parse().map(|_: u64| None),
                None => word.1.parse().map(Some),
            };
            let number = number.map_err(|_| self.unexpected("a number of free blocks", word))?;
            if let Some(found) = number.filter(|number| *number > MOST_BLOCKS) {
                return Err(self.line.error(word.0, Problem::TooMany { found }));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn orders(&mut self) -> Result<[Option<u64>; Order::COUNT], SnapshotError> {
        let column = self.at + 1;
        let numbers = self.numbers()?;
        numbers.try_into().map_err(|numbers: Vec<_>| self.line.error(column, Problem::Orders { found: numbers.len() }))
    }
}
