//! Two charts in text: large pages split over time, and the map of physical memory.

use std::io::{self, Write};

use super::axis::Quantity;
use super::map::map_of;
use super::subject::{COLUMNS, Contender, Subject, resample};
use crate::result::{CellState, Cells, Sample};

/// Heights of a line of text, lowest first.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Bytes that a character of a map stands for on hosts of ordinary size.
const GIB: u64 = 1 << 30;
/// Characters of a map at most; larger hosts have more memory in each.
const MOST_CHARACTERS: u64 = 2048;
/// Fewest characters that a line of values or of a map gets.
const FEWEST: usize = 8;

/// How text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Characters in a line at most, if that is possible.
    pub width: usize,
    /// Whether colours may be used.
    pub colour: bool,
}

/// Writes large pages split over time, a line for each allocator.
///
/// # Errors
/// Those of the writer.
pub fn splits(subject: &Subject<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    type Value = fn(&Sample) -> u64;
    let levels: [(&str, Value); 2] = [
        ("2 MiB pages split (level 2)", |sample| sample.direct_map_level2_splits),
        ("1 GiB pages split (level 3)", |sample| sample.direct_map_level3_splits),
    ];
    introduce(subject, out)?;
    if !subject.has_series() {
        return writeln!(out, "\nThere are no values over time in the result; run the scenario again.");
    }
    for (heading, value) in levels {
        let lines: Vec<(Vec<Option<u64>>, u64)> =
            subject.contenders.iter().map(|contender| over_time(subject, contender, value)).collect();
        let highest = lines.iter().flat_map(|(values, _)| values.iter().flatten()).copied().max().unwrap_or(0);
        if highest == 0 {
            writeln!(out, "\n{heading}: none")?;
            continue;
        }
        let end = Quantity::Nanos.text(subject.end());
        writeln!(out, "\n{heading} from the start to {end}; {} at the top", HEIGHTS[7])?;
        let names =
            subject.contenders.iter().map(|one| one.label.clone() + &subject.seed_mark(subject.shown_run(one).seed));
        let names: Vec<String> = names.map(|name| cut(&name, (style.width / 3).max(FEWEST))).collect();
        let name = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let number = lines.iter().map(|(_, last)| last.to_string().len()).max().unwrap_or(0);
        let room = style.width.saturating_sub(name + number + 4).clamp(FEWEST, COLUMNS);
        for (label, (values, last)) in names.iter().zip(&lines) {
            let line: String = (0..room).map(|at| height(values[at * (COLUMNS - 1) / (room - 1)], highest)).collect();
            writeln!(out, "{label:name$}  {line}  {last:>number$}")?;
        }
    }
    Ok(())
}

/// A name in at most so many characters.
fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

/// What is shown, and of which seed.
fn introduce(subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    let seed = subject.seed_note().replace('\u{a0}', " ");
    writeln!(out, "{}{}{seed}", subject.setting(), if seed.is_empty() { "" } else { "; " })
}

/// The values of the run that is shown, and the last of them.
fn over_time(subject: &Subject<'_>, contender: &Contender<'_>, value: fn(&Sample) -> u64) -> (Vec<Option<u64>>, u64) {
    let values = resample(subject.shown_run(contender), subject.end(), value);
    let last = values.iter().flatten().last().copied().unwrap_or(0);
    (values, last)
}

/// A column as high as the value; nothing of it is seen only if there is no value.
fn height(value: Option<u64>, highest: u64) -> char {
    match value {
        None => ' ',
        Some(0) => '_',
        Some(value) => {
            let step = (u128::from(value) * HEIGHTS.len() as u128).div_ceil(u128::from(highest.max(1)));
            HEIGHTS[(step as usize).clamp(1, HEIGHTS.len()) - 1]
        }
    }
}

/// Writes the map of physical memory at the end, for each allocator that has one.
///
/// # Errors
/// Those of the writer.
pub fn map(subject: &Subject<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut explained = false;
    for contender in &subject.contenders {
        let Some((seed, map)) = map_of(subject, contender) else { continue };
        let Some(moment) = map.moments.last() else { continue };
        let mut unit = (GIB / map.cell_bytes.max(1)).max(1);
        while moment.cells.len().div_ceil(unit) > MOST_CHARACTERS {
            unit *= 2;
        }
        let bytes = unit as f64 * map.cell_bytes as f64;
        if !explained {
            introduce(subject, out)?;
            writeln!(out, "\nEach character is {} of physical memory:", Quantity::Bytes.text(bytes))?;
            KEY.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            explained = true;
        }
        writeln!(out, "\n{}{}", contender.label, subject.seed_mark(seed))?;
        draw_map(&moment.cells, unit, bytes, style, out)?;
    }
    if !explained {
        writeln!(out, "There is no map of physical memory in the result; run the scenario again.")?;
    }
    Ok(())
}

const KEY: [&str; 5] = [
    "G  1 GiB pages",
    "-  2 MiB pages, with or without pages of 1 GiB",
    "1  4 KiB pages in up to a tenth of it, 2 in up to two tenths, and so on",
    "#  4 KiB pages in more than nine tenths of it",
    ".  no RAM",
];

/// Lines of characters with the address of the first one before each.
fn draw_map(cells: &Cells, unit: u64, bytes: f64, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut shares = vec![Share::default(); cells.len().div_ceil(unit) as usize];
    let mut at = 0_u64;
    for (length, state) in cells.runs() {
        let end = at + u64::from(length);
        while at < end {
            let character = at / unit;
            let part = (end - at).min((character + 1) * unit - at);
            shares[character as usize].add(part, state);
            at += part;
        }
    }
    let address = |number: usize| match number {
        0 => "0".to_owned(),
        _ => Quantity::Bytes.text(number as f64 * bytes),
    };
    let margin = address(shares.len()).chars().count().max(7);
    let room = style.width.saturating_sub(margin + 2).max(FEWEST);
    // Lines of a power of two are easy to count in.
    let room = if room >= 64 { 64 } else { room.next_power_of_two() / if room.is_power_of_two() { 1 } else { 2 } };
    for (line, part) in shares.chunks(room).enumerate() {
        write!(out, "{:>margin$}  ", address(line * room))?;
        for share in part {
            share.write(style.colour, out)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What lies behind one character.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    whole_1g: u64,
    large: u64,
    small: u64,
}

impl Share {
    fn add(&mut self, cells: u64, state: CellState) {
        match state {
            CellState::Hole => {}
            CellState::Whole1G => self.whole_1g += cells,
            state if state.is_small() => self.small += cells,
            _ => self.large += cells,
        }
    }

    fn letter(self) -> char {
        let all = self.whole_1g + self.large + self.small;
        match (self.small, all) {
            (_, 0) => '.',
            (0, _) if self.large == 0 => 'G',
            (0, _) => '-',
            (small, all) => {
                let tenths = (u128::from(small) * 10).div_ceil(u128::from(all)) as u32;
                char::from_digit(tenths, 10).unwrap_or('#')
            }
        }
    }

    fn write(self, colour: bool, out: &mut dyn Write) -> io::Result<()> {
        let letter = self.letter();
        let code = match letter {
            _ if !colour => None,
            '.' => Some("90"),
            'G' | '-' => Some("36"),
            _ => Some("33;1"),
        };
        match code {
            Some(code) => write!(out, "\u{1b}[{code}m{letter}\u{1b}[0m"),
            None => write!(out, "{letter}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::two_runs;
    use crate::result::{MapMoment, MemoryMap, ResultDoc};

    fn with_maps(cells: &str) -> ResultDoc {
        let mut result = two_runs();
        let cells = serde_json::from_value(cells.into()).unwrap();
        let map = MemoryMap { cell_bytes: 2 << 20, moments: vec![MapMoment { time_ns: 0, cells }] };
        result.runs[0].memory_map = Some(map);
        result
    }

    fn text(result: ResultDoc, draw: impl Fn(&Subject<'_>, &mut dyn Write) -> io::Result<()>) -> String {
        let results = [result];
        let mut out = Vec::new();
        draw(&Subject::gather(&results).unwrap()[0], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_rise_with_the_splits() {
        let style = Style { width: 40, colour: false };
        let text = text(two_runs(), |subject, out| splits(subject, style, out));
        let expected = "\
Scenario small, 64GiB of memory, seed 1

2 MiB pages split (level 2) from the start to 2 seconds; █ at the top
per-prog  _________________________█  12
pack-4k   _________________________▂   3

1 GiB pages split (level 3): none
";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_names_leave_room_for_the_values() {
        let mut result = two_runs();
        result.runs[0].allocator = "ein-sehr-langer-Name-für-einen-Allokator-".repeat(3);
        let style = Style { width: 40, colour: false };
        let text = text(result, |subject, out| splits(subject, style, out));
        assert!(text.contains("\nein-sehr-lan…  ____"), "{text}");
        assert!(text.lines().filter(|line| line.contains('_')).all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn a_character_stands_for_a_gibibyte() {
        let cells = "512G512M512.511M1s460M52s52M460s51M461x511M1x";
        let style = Style { width: 40, colour: false };
        let plain = text(with_maps(cells), |subject, out| map(subject, style, out));
        assert!(plain.ends_with("\nper-prog\n      0  G-.129#1\n"), "{plain}");
        let style = Style { width: 40, colour: true };
        let colour = text(with_maps(cells), |subject, out| map(subject, style, out));
        assert!(colour.contains("\u{1b}[33;1m#\u{1b}[0m"));
        let narrow = Style { width: 1, colour: false };
        let many = text(with_maps("131072G"), |subject, out| map(subject, narrow, out));
        assert!(many.contains("\n224 GiB  GGGGGGGG\n"), "{many}");
        let huge = text(with_maps("4294967295G"), |subject, out| map(subject, style, out));
        assert!(huge.contains("Each character is 4 TiB of"), "{}", &huge[..300]);
        assert!(text(two_runs(), |subject, out| map(subject, style, out)).contains("run the scenario again"));
    }
}
