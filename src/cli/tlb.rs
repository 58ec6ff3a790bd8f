//! `fragsim tlb`: which accesses of a list miss the TLBs of a core.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit;
use super::output::Failure;
use super::tlb_report::TlbReport;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, open_file, read_text};
use crate::json::Document;
use crate::report::Format;
use crate::tlb::{
    Batch, Cpu, Host, LeafMap, ListFormat, Simulator, preset_names, preset_text, read_accesses, read_leaves,
};
use crate::units::{Bytes, PageSize};

pub(super) const HELP: &str = "\
Examples:
  fragsim tlb --cpu zen4 --accesses addresses.txt
  fragsim tlb --cpu my-core.json --leaf-sizes map.txt --accesses - --format json < addresses.txt
  fragsim tlb --cpu skylake-sp --leaf-sizes 2M --accesses addresses.bin --binary
  fragsim tlb --cpu zen4 --print-cpu > my-core.json

A list of accesses has a line for each: `0x1000`, `4096 w`, `x 0x2000` (r, w or x; r if none is given), or `flush`, or \
`flush 0x1000` for one page. A map of page sizes has a line for each range: `0x100000000-0x140000000 1G`, and `* 4K` for \
everything else. `#` begins a comment in both. `fragsim list cpus` names the cores, `fragsim schema cpu` describes the \
format of an own one.";

/// Largest CPU document that is read.
const MAX_CPU_BYTES: Bytes = Bytes::new(1 << 20);
/// Largest map of page sizes that is read.
const MAX_LEAVES_BYTES: Bytes = Bytes::new(256 << 20);
/// Bytes of the list that are read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// Arguments of `tlb`.
#[derive(Clone, Debug, Args)]
pub(super) struct TlbArgs {
    /// The core: a name from `fragsim list cpus`, or a file
    #[arg(long, value_name = "NAME|FILE")]
    cpu: String,
    /// How memory is mapped: 4K, 2M or 1G all over, or a file with a line for each range
    #[arg(long, value_name = "SIZE|FILE", default_value = "4K")]
    leaf_sizes: String,
    /// The list of accesses; `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "print_cpu")]
    accesses: Option<PathBuf>,
    /// The list holds 64-bit addresses, lowest byte first, all of them loads
    #[arg(long)]
    binary: bool,
    /// The core runs a guest whose host maps it with pages of this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    host_pages: Option<PageSize>,
    /// Where structures that replace at random begin
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true)]
    seed: u64,
    /// How the counts are printed
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
    /// Print the core's description instead, to make an own one from
    #[arg(long, conflicts_with_all = ["accesses", "binary", "host_pages", "format"])]
    print_cpu: bool,
}

fn parse_size(text: &str) -> Result<PageSize, String> {
    let size = PageSize::ALL.into_iter().find(|size| size.to_string() == text);
    size.ok_or_else(|| "a page size is 4K, 2M or 1G".to_owned())
}

/// Runs the command.
pub(super) fn run(args: &TlbArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let cpu = find_cpu(&args.cpu)?;
    if args.print_cpu {
        match preset_text(&args.cpu) {
            Some(text) => out.write_all(text.as_bytes())?,
            None => writeln!(out, "{}", serde_json::to_string_pretty(cpu.doc()).expect("a CPU has a form in JSON"))?,
        }
        return Ok(exit::DONE);
    }
    let leaves = find_leaves(&args.leaf_sizes)?;
    let host = args.host_pages.map_or(Host::Native, Host::Pages);
    let path = args.accesses.as_deref().expect("clap demands it without --print-cpu");
    let mut simulator = Simulator::new(&cpu, host, args.seed);
    let format = if args.binary { ListFormat::Binary } else { ListFormat::Text };
    let name = path.display().to_string();
    read_accesses(&mut *open_list(path)?, &name, format, &leaves, |batch| match batch {
        Batch::Accesses(accesses) => simulator.run(&leaves, accesses),
        Batch::Flush => simulator.flush(),
        Batch::FlushPage(access) => simulator.flush_page(&leaves, access),
    })?;
    if simulator.counts().total_accesses() == 0 {
        let help = "write one address on each line, such as `0x1000`; with --binary, 8 bytes for each";
        return Err(Diagnostic::new("the list has no access").in_file(name).help(help).into());
    }
    TlbReport::new(&cpu, host, simulator.counts()).write(args.format, out)?;
    Ok(exit::DONE)
}

/// A preset, or the core that a file describes.
fn find_cpu(name: &str) -> Result<Cpu, Failure> {
    if preset_names().any(|preset| preset == name) {
        return Ok(Cpu::named(name).expect("it is one of the presets"));
    }
    let path = Path::new(name);
    let is_file = name == STDIN || name.contains(['/', '\\', '.']) || path.exists();
    if !is_file {
        let complaint = Cpu::named(name).expect_err("it is none of the presets");
        let help = complaint.help.unwrap_or_default();
        let help = format!("{help}; `fragsim list cpus` lists them, and a file can describe any other");
        return Err(Diagnostic::new(complaint.message).help(help).into());
    }
    let text = read_text(path, "a CPU", MAX_CPU_BYTES)?;
    Ok(Cpu::from_document(&Document::new(text.name, text.text))?)
}

/// One size all over, or the map of a file.
fn find_leaves(text: &str) -> Result<LeafMap, Failure> {
    if let Ok(size) = parse_size(text) {
        return Ok(LeafMap::uniform(size));
    }
    let map = read_text(Path::new(text), "a map of page sizes", MAX_LEAVES_BYTES)?;
    Ok(read_leaves(&map.name, &map.text)?)
}

fn open_list(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == STDIN {
        return Ok(Box::new(BufReader::with_capacity(BLOCK_BYTES, io::stdin())));
    }
    let (file, _) = open_file(path, "a list of accesses")?;
    Ok(Box::new(BufReader::with_capacity(BLOCK_BYTES, file)))
}
