//! One line of `perf script --show-bpf-events`.

use crate::diagnostics::Diagnostic;
use crate::trace::MAX_IMAGE_BYTES;

/// A line that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PerfLine<'a> {
    /// Nanoseconds on the recording's clock; 0 for what perf found when it started.
    pub time_ns: u64,
    pub context: Context,
    pub record: Record<'a>,
}

/// Who recorded it. Records of one context come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub pid: u32,
    /// `None` if the text was printed without the CPU.
    pub cpu: Option<u32>,
}

/// The records that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A piece of code appears (`PERF_RECORD_KSYMBOL`), or goes away.
    Symbol { address: u64, length: u32, is_bpf: bool, gone: bool, name: &'a str },
    /// A program is loaded (`PERF_BPF_EVENT_PROG_LOAD`).
    Load { id: u64 },
    /// A program is unloaded (`PERF_BPF_EVENT_PROG_UNLOAD`).
    Unload { id: u64 },
    /// The buffer was full (`PERF_RECORD_LOST`).
    Lost { count: u64 },
}

/// `PERF_RECORD_KSYMBOL_TYPE_BPF`.
const SYMBOL_OF_BPF: u64 = 1;
/// `PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER`.
const SYMBOL_IS_GONE: u64 = 1;

/// The record of a line; `None` if the line is about something else.
pub(super) fn parse(line: &str) -> Result<Option<PerfLine<'_>>, Box<Diagnostic>> {
    let Some(at) = line.find("PERF_RECORD_") else { return Ok(None) };
    let (kind, fields) = line[at..].split_once(char::is_whitespace).unwrap_or((&line[at..], ""));
    let fields = Fields { line, text: fields };
    let record = match kind {
        "PERF_RECORD_KSYMBOL" => Record::Symbol {
            address: fields.number("addr", 16)?,
            length: fields.length()?,
            is_bpf: fields.number("type", 10)? == SYMBOL_OF_BPF,
            gone: fields.number("flags", 16)? & SYMBOL_IS_GONE != 0,
            name: fields.word("name")?,
        },
        "PERF_RECORD_BPF_EVENT" => match fields.number("type", 10)? {
            1 => Record::Load { id: fields.number("id", 10)? },
            2 => Record::Unload { id: fields.number("id", 10)? },
            _ => return Ok(None),
        },
        "PERF_RECORD_LOST" | "PERF_RECORD_LOST_SAMPLES" => Record::Lost { count: fields.number("lost", 10)? },
        _ => return Ok(None),
    };
    let (time_ns, context) = prefix(line, &line[..at])?;
    Ok(Some(PerfLine { time_ns, context, record }))
}

/// Time and context out of `COMM PID [CPU] SECONDS:`; the command's name may hold anything.
fn prefix(line: &str, prefix: &str) -> Result<(u64, Context), Box<Diagnostic>> {
    let mut words = prefix.split_whitespace().rev();
    let time = words.next().and_then(|word| word.strip_suffix(':')).and_then(nanoseconds);
    let Some(time_ns) = time else { return Err(wrong(line, prefix.trim(), "no time before the record")) };
    let mut word = words.next().unwrap_or_default();
    let mut cpu = None;
    if let Some(number) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        cpu = number.parse().ok();
        word = words.next().unwrap_or_default();
    }
    // `perf script -F pid,tid` prints both, the thread last: the thread is who runs.
    match word.rsplit('/').next().unwrap_or_default().parse::<i64>() {
        // perf prints -1 for what it found when it started.
        Ok(pid) => Ok((time_ns, Context { pid: u32::try_from(pid).unwrap_or(u32::MAX), cpu })),
        Err(_) => Err(wrong(line, prefix.trim(), "no process id before the time")),
    }
}

/// `3055.779399` in nanoseconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let below: u64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(below)
}

/// The named fields of a record: `addr ffff len 23 type 1`.
struct Fields<'a> {
    line: &'a str,
    text: &'a str,
}

impl<'a> Fields<'a> {
    fn word(&self, name: &str) -> Result<&'a str, Box<Diagnostic>> {
        let mut words = self.text.split_whitespace();
        while let Some(word) = words.next() {
            if word == name
                && let Some(value) = words.next()
            {
                return Ok(value.trim_end_matches(','));
            }
        }
        Err(wrong(self.line, self.text, &format!("the record has no `{name}`: is the line cut off?")))
    }

    fn number(&self, name: &str, radix: u32) -> Result<u64, Box<Diagnostic>> {
        let word = self.word(name)?;
        let digits = if radix == 16 { word.trim_start_matches("0x") } else { word };
        u64::from_str_radix(digits, radix).map_err(|_| wrong(self.line, word, &format!("`{name}` is no number")))
    }

    fn length(&self) -> Result<u32, Box<Diagnostic>> {
        match u32::try_from(self.number("len", 10)?) {
            Ok(length @ 1..=MAX_IMAGE_BYTES) => Ok(length),
            _ => Err(wrong(self.line, self.word("len")?, "a length is between 1 and 2147483648 bytes")),
        }
    }
}

/// A diagnostic that points at this part of the line.
fn wrong(line: &str, part: &str, message: &str) -> Box<Diagnostic> {
    let offset = (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
    let column = u32::try_from(offset + 1).unwrap_or(u32::MAX);
    let width = u32::try_from(part.len()).unwrap_or(u32::MAX);
    let help = "expected `COMM PID [CPU] SECONDS: PERF_RECORD_...`, as `perf script --show-bpf-events` prints it";
    Box::new(Diagnostic::new(message).at(1, column, width).excerpt(line.as_bytes()).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_names_may_hold_anything() {
        let line = "  a [b] 1: x y  3809 [001]  3055.779399: PERF_RECORD_KSYMBOL addr ffffffffc0022120 len 23 type 1 flags 0x1 name bpf_prog_62efe59b7d4f5ea1";
        let record = parse(line).unwrap().unwrap();
        assert_eq!(record.time_ns, 3_055_779_399_000);
        assert_eq!(record.context, Context { pid: 3809, cpu: Some(1) });
        let name = "bpf_prog_62efe59b7d4f5ea1";
        let symbol = Record::Symbol { address: 0xffff_ffff_c002_2120, length: 23, is_bpf: true, gone: true, name };
        assert_eq!(record.record, symbol);
    }

    #[test]
    fn cpu_thread_and_digits_are_optional() {
        let record = parse("x 5/7 1.5: PERF_RECORD_BPF_EVENT type 2, flags 0, id 9").unwrap().unwrap();
        assert_eq!((record.time_ns, record.context), (1_500_000_000, Context { pid: 7, cpu: None }));
        assert_eq!(record.record, Record::Unload { id: 9 });
        let early = parse("perf -1 [000] 0.000000: PERF_RECORD_BPF_EVENT type 1, flags 0, id 9").unwrap().unwrap();
        assert_eq!((early.time_ns, early.record), (0, Record::Load { id: 9 }));
    }

    #[test]
    fn other_lines_are_skipped_and_broken_ones_are_not() {
        assert_eq!(parse("# comment"), Ok(None));
        assert_eq!(parse("x 1 [000] 1.0: PERF_RECORD_MMAP2 1/1: [0x1]"), Ok(None));
        for (line, message, covered) in [
            ("x 1 [000] 1.0: PERF_RECORD_BPF_EVENT type 1, flags 0", "no `id`", "type 1, flags 0"),
            ("x 1 [000] 1.0: PERF_RECORD_BPF_EVENT type 1, flags 0, id x", "`id` is no number", "x"),
            ("x [000] 1.0: PERF_RECORD_LOST lost 5", "no process id", "x [000] 1.0:"),
            ("x 1 [000] 1: PERF_RECORD_LOST lost 5", "no time", "x 1 [000] 1:"),
            ("x 1 1.0: PERF_RECORD_KSYMBOL addr f len 0 type 1 flags 0x0 name a", "between 1 and", "0"),
        ] {
            let diagnostic = parse(line).unwrap_err();
            assert!(diagnostic.message.contains(message), "{diagnostic}");
            assert_eq!(&diagnostic.excerpt[diagnostic.span_in_excerpt()], covered);
        }
    }
}
