//! conn
/// X
pub enum X {}
