//! JSON documents whose errors know their place: a typed value or a [`Diagnostic`] with
//! line, column, JSON path and excerpt.
//!
//! A document is parsed into a [`Value`] first, so that it can be changed before it becomes a
//! typed value. The positions stay those of the text, found again by JSON path.
//!
//! [`Diagnostic`]: crate::diagnostics::Diagnostic
//! [`Value`]: serde_json::Value

mod document;
mod path;
mod spans;
mod strict;
mod wording;

pub use document::{Document, typed};
pub use path::{JsonPath, Segment};
pub use spans::{Place, Spans};
pub use wording::{Complaint, choices_of, reword};
