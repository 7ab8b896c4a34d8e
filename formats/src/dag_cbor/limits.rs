/// How many maps and lists may lie in each other (inclusive).
pub const MAX_DEPTH: usize = 128;
