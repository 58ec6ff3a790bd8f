//! The result document itself.

use std::io::{self, Write};

use super::Exporter;
use crate::result::ResultDoc;

pub(super) struct Json;

impl Exporter for Json {
    fn export(&self, result: &ResultDoc, out: &mut dyn Write) -> io::Result<()> {
        result.write(out)
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{DEFAULT_WIDTH, Format};
    use crate::result::testing::two_runs;

    #[test]
    fn the_document_is_the_same_as_in_a_file() {
        let mut out = Vec::new();
        Format::Json.write(&two_runs(), DEFAULT_WIDTH, &mut out).unwrap();
        assert_eq!(out, two_runs().to_json());
    }
}
