//! What a recording tells of the free memory when init started.

use super::operation::Operation;
use crate::memory::Snapshot;

/// Where a kernel tells of its free blocks.
pub const BUDDYINFO: &str = "/proc/buddyinfo";
/// Where it tells of what type they are.
pub const PAGETYPEINFO: &str = "/proc/pagetypeinfo";

/// The texts that have been read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct StartTexts {
    buddyinfo: Option<String>,
    pagetypeinfo: Option<String>,
}

impl StartTexts {
    /// Notes what was read, if it tells of the free memory.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub(super) fn note(&mut self, operation: &Operation) -> Result<(), String> {
        let told = [(BUDDYINFO, &mut self.buddyinfo), (PAGETYPEINFO, &mut self.pagetypeinfo)];
        let Some((text, place)) = told.into_iter().find_map(|(name, place)| Some((operation.text_of(name)?, place)))
        else {
            return Ok(());
        };
        *place = Some(text.to_owned());
        match &self.buddyinfo {
            Some(buddyinfo) => {
                Snapshot::parse(buddyinfo, self.pagetypeinfo.as_deref()).map(|_| ()).map_err(|error| error.to_string())
            }
            None => Ok(()),
        }
    }
}
