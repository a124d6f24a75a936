//! The actions of version 2007-03-01.

use super::actions::Row;

/// All actions of that version, by their names.
pub static ROWS: &[Row] = &[];
