/// How many maps and lists may lie in each other (inclusive).
pub const MAX_DEPTH: usize = 128;

/// How many times the room of its bytes a value in memory may take (inclusive).
pub const MAX_IPLD_MULTIPLE: usize = 16;

/// The room that any value in memory may take, in bytes (inclusive).
pub const MAX_IPLD_SMALL: usize = 256 << 10;
